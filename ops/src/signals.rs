//! SIGINT and SIGTERM: the first asks for a graceful stop, the second ends the process at once.

use crate::exit::Exit;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Who asked us to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Ctrl-C.
    Interrupt,
    /// A supervisor.
    Terminate,
}

impl Stop {
    /// How the process ends after a graceful stop.
    pub fn exit(self) -> Exit {
        match self {
            Stop::Interrupt => Exit::Interrupted,
            Stop::Terminate => Exit::Done,
        }
    }

    /// How it ends when there was no time for grace, as a shell would say it.
    fn abrupt(self) -> i32 {
        match self {
            Stop::Interrupt => 130,
            Stop::Terminate => 143,
        }
    }
}

/// Both signals, caught from now on.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Starts catching; inside the runtime.
    pub fn catch() -> anyhow::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the first one, then watches for a second that ends the process where it stands.
    pub async fn wait(mut self) -> Stop {
        let first = self.next().await;
        tokio::spawn(async move {
            let second = self.next().await;
            crate::out::say("stopping at once");
            std::process::exit(second.abrupt());
        });
        first
    }

    async fn next(&mut self) -> Stop {
        tokio::select! {
            _ = self.interrupt.recv() => Stop::Interrupt,
            _ = self.terminate.recv() => Stop::Terminate,
        }
    }
}
