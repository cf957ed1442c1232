//! Does something at a provider that may drop its reply, under each class of effect. The provider speaks lines over TCP:
//! `send KEY ID` is answered `ok` or `no`, `ask KEY` is answered `yes` or `no`; a connection that ends early tells nothing.

use super::{log, policy};
use clawr_domain::ports::Ports;
use clawr_engine::effect::{Class, Look, Reply, Sent, Stored};
use clawr_engine::kind::{EffectPolicy, Fatal, Finish, Kind, Policy, Run};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Args {
    #[serde(default)]
    log: String,
    provider: String,
    class: String,
    key: String,
    /// Whether it dies after its effect happened.
    #[serde(default)]
    dies: bool,
}

/// The kind.
pub struct ChaosEffect;

impl Kind<Ports> for ChaosEffect {
    const KIND: &'static str = "chaos_effect";
    const QUEUE: &'static str = "chaos";
    type Args = Args;

    fn policy() -> Policy {
        let effects = EffectPolicy {
            start_within: Duration::from_secs(1),
            call_within: Duration::from_secs(1),
            pause: Duration::from_millis(200),
            pause_max: Duration::from_secs(2),
            max_age: Duration::from_secs(60),
            tries_max: 50,
            money: true,
        };
        Policy { effects, ..policy() }
    }

    async fn run(args: Args, run: Run, _ports: Ports) -> anyhow::Result<Finish> {
        log(&args.log, "start", &run)?;
        let class = Class::parse(&args.class).ok_or_else(|| Fatal(format!("no class {}", args.class)))?;
        let intent = json!({ "provider": args.provider, "class": args.class });
        let sent = run.effect(class, args.key.as_str(), intent).send(|effect| call(args.provider.clone(), effect)).await?;
        log(&args.log, "end", &run)?;
        if args.dies && matches!(sent, Sent::Confirmed(_)) {
            return Err(Fatal("the world moved and the books did not follow".into()).into());
        }
        let outcome = if matches!(sent, Sent::Confirmed(_)) { "confirmed" } else { "rejected" };
        Ok(Finish::done(json!({ "outcome": outcome })))
    }

    async fn look(effect: Stored, _ports: Ports) -> Look {
        if effect.class != Class::Provable {
            return Look::Unknown("nobody to ask".into());
        }
        let provider = effect.intent["provider"].as_str().unwrap_or_default().to_owned();
        match ask(&provider, &format!("ask {}\n", effect.key)).await {
            Ok(answer) if answer == "yes" => Look::Confirmed(evidence("asked", &answer)),
            Ok(answer) if answer == "no" => Look::Absent(evidence("asked", &answer)),
            Ok(answer) => Look::Unknown(format!("said {answer:?}")),
            Err(error) => Look::Unknown(error.to_string()),
        }
    }
}

fn evidence(how: &str, answer: &str) -> Json {
    json!({ "how": how, "answer": answer })
}

async fn call(provider: String, effect: Stored) -> Reply {
    let line = format!("send {} {}\n", effect.key, effect.id);
    match ask(&provider, &line).await {
        Ok(answer) if answer == "ok" => Reply::Confirmed(evidence("reply", &answer)),
        Ok(answer) if answer == "no" => Reply::Rejected(evidence("reply", &answer)),
        Ok(answer) => Reply::Unknown(format!("said {answer:?}")),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Reply::NotSent(error.to_string()),
        Err(error) => Reply::Unknown(error.to_string()),
    }
}

async fn ask(provider: &str, line: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(provider).await?;
    stream.write_all(line.as_bytes()).await?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).await?;
    Ok(answer.trim().to_owned())
}
