//! A provider as the world has them: it accepts and drops the reply, drops before it accepts, is slow, refuses. What it
//! accepted is known here, from outside every database.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What is known of one key.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Calls that arrived.
    pub calls: usize,
    /// How often it was done: more than once is money lost, unless the provider recognises keys.
    pub done: usize,
    /// Ids it was asked under.
    pub ids: BTreeSet<String>,
    /// Refused for good.
    pub refused: bool,
}

/// Cheap to clone; lives as long as the test's runtime.
#[derive(Clone)]
pub struct Provider {
    address: String,
    known: Arc<Mutex<BTreeMap<String, Known>>>,
    chance: Arc<Mutex<u64>>,
}

enum Mood {
    Accept,
    AcceptAndDrop,
    AcceptLate,
    Drop,
    Refuse,
}

impl Provider {
    /// Listens on a free port. Keys that begin with `keyed` are recognised; the others are done as often as they are asked.
    pub async fn start(seed: u64) -> Provider {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let provider = Provider { address, known: Arc::default(), chance: Arc::new(Mutex::new(seed | 1)) };
        let serving = provider.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let provider = serving.clone();
                tokio::spawn(async move { drop(provider.serve(stream).await) });
            }
        });
        provider
    }

    /// `host:port`
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What is known of every key.
    pub fn known(&self) -> BTreeMap<String, Known> {
        self.known.lock().expect("a lock").clone()
    }

    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut line = String::new();
        BufReader::new(&mut stream).read_line(&mut line).await?;
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["send", key, id] => self.send(stream, key, id).await,
            ["ask", key] => {
                // one look in five is not answered
                if self.below(5) == 0 {
                    return Ok(());
                }
                let done = self.with(key, |known| known.done > 0);
                stream.write_all(if done { b"yes\n" } else { b"no\n" }).await
            }
            _ => Ok(()),
        }
    }

    async fn send(&self, mut stream: TcpStream, key: &str, id: &str) -> std::io::Result<()> {
        self.with(key, |known| {
            known.calls += 1;
            known.ids.insert(id.to_owned());
        });
        match self.mood(key) {
            Mood::Accept => {
                self.accept(key);
                stream.write_all(b"ok\n").await
            }
            Mood::AcceptAndDrop => {
                self.accept(key);
                Ok(())
            }
            Mood::AcceptLate => {
                tokio::time::sleep(Duration::from_millis(900)).await;
                self.accept(key);
                tokio::time::sleep(Duration::from_millis(600)).await;
                stream.write_all(b"ok\n").await
            }
            Mood::Drop => Ok(()),
            Mood::Refuse => {
                self.with(key, |known| known.refused = true);
                stream.write_all(b"no\n").await
            }
        }
    }

    fn mood(&self, key: &str) -> Mood {
        if self.with(key, |known| known.refused) {
            return Mood::Refuse;
        }
        match self.below(20) {
            0..7 => Mood::Accept,
            7..13 => Mood::AcceptAndDrop,
            13..15 => Mood::AcceptLate,
            15..19 => Mood::Drop,
            _ if self.with(key, |known| known.done == 0) => Mood::Refuse,
            _ => Mood::Accept,
        }
    }

    fn accept(&self, key: &str) {
        let recognised = key.starts_with("keyed");
        self.with(key, |known| {
            if !recognised || known.done == 0 {
                known.done += 1;
            }
        });
    }

    fn with<T>(&self, key: &str, act: impl FnOnce(&mut Known) -> T) -> T {
        act(self.known.lock().expect("a lock").entry(key.to_owned()).or_default())
    }

    fn below(&self, bound: u64) -> u64 {
        let mut chance = self.chance.lock().expect("a lock");
        *chance ^= *chance << 13;
        *chance ^= *chance >> 7;
        *chance ^= *chance << 17;
        *chance % bound
    }
}
