//! The command line: what can be said, and which command it is said to.

use crate::commands::{self, *};
use crate::config::{Config, Environment, Flags, Problems};
use crate::exit::{Exit, Failure};
use crate::out::Out;
use crate::{bench, demo, logging};
use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Begin here:
  clawr demo                       everything at once, on a temporary store
  clawr config init                a commented clawr.toml
  clawr serve                      API and workers on a store of your own
  clawr keys create --global --scope read,write,admin,deploy

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 not found, 4 conflict, 5 not allowed, 69 unavailable,
130 interrupted. Data goes to stdout, talk to stderr; --json gives every command a stable schema.";

/// The back office of a marketplace of paid APIs: durable jobs, a ledger, and the people who watch them
#[derive(Debug, Parser)]
#[command(name = "clawr", version, after_help = EXAMPLES, max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// Configuration file instead of ./clawr.toml (or $CLAWR_CONFIG)
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting, as in --set log.level=debug; wins over file and environment
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
    /// Print data as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show everything at work: recorded payments, a temporary store, a page to look at
    Demo(demo::DemoArgs),
    /// Serve the HTTP API, and run jobs
    Serve(serve::ServeArgs),
    /// Run jobs without serving HTTP
    Work,
    /// Bring a store's schema up to this binary
    Migrate(migrate::MigrateArgs),
    /// Look at store, clock, secrets and configuration, and say what to do about them
    Doctor,
    /// Print the configuration in force and where each value came from
    CheckConfig,
    /// Write a configuration file
    Config(config_init::ConfigArgs),
    /// List, show, explain, make, retry, cancel and watch jobs
    Jobs(jobs::JobsArgs),
    /// List and show reported payments
    Settlements(settlements::SettlementsArgs),
    /// What jobs did outside, and what became of it
    Effects(effects::EffectsArgs),
    /// Jobs that run one after the other: where they do not go on, and letting them
    Sequences(sequences::SequencesArgs),
    /// Tell waiting jobs what they wait for
    Signals(signals::SignalsArgs),
    /// Balances, and proof that they are right
    Ledger(ledger::LedgerArgs),
    /// The audit trail, and proof that it is whole
    Audit(audit::AuditArgs),
    /// Make, list, rotate and revoke API keys
    Keys(keys::KeysArgs),
    /// Make and list tenants
    Tenants(tenants::TenantsArgs),
    /// Make and list the APIs that tenants sell
    Apis(apis::ApisArgs),
    /// Worker processes: beats, jobs, versions
    Workers(lists::WatchArgs),
    /// Queues: depth, oldest age; pause and resume
    Queues(queues::QueuesArgs),
    /// Ask a server whether it is ready
    Health(health::HealthArgs),
    /// Measure this machine: queue and intake
    Bench(bench::BenchArgs),
    /// Print completions for a shell
    Completions(completions::CompletionsArgs),
    /// Print the manual page
    Man,
}

/// What a command gets besides its own arguments.
#[derive(Clone)]
pub struct Context {
    /// How to show data.
    pub out: Out,
    /// What the surroundings say.
    pub environment: Environment,
    /// What the command line says about the configuration.
    pub flags: Flags,
    /// How this binary was called, for commands to try next.
    pub program: String,
}

impl Context {
    /// The configuration; logging starts with it.
    pub fn config(&self) -> anyhow::Result<Config> {
        self.config_with(&[])
    }

    /// The same with a command's own flags on top: (flag, key, value).
    pub fn config_with(&self, own: &[(&str, &str, String)]) -> anyhow::Result<Config> {
        let mut flags = self.flags.clone();
        flags.values.extend(own.iter().map(|(flag, key, value)| ((*flag).to_owned(), (*key).to_owned(), value.clone())));
        let config = Config::load(&self.environment, &flags).map_err(configuration)?;
        logging::start(&config.log, self.environment.no_colour());
        Ok(config)
    }
}

/// A wrong configuration is a wrong usage.
pub fn configuration(problems: Problems) -> anyhow::Error {
    Failure::new(Exit::Usage, problems.to_string()).into()
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("must be KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

/// Reads the arguments and runs the command.
pub fn run(arguments: impl Iterator<Item = OsString>, environment: &Environment) -> anyhow::Result<Exit> {
    let arguments: Vec<OsString> = arguments.collect();
    let program = arguments.first().map(|p| p.to_string_lossy().into_owned()).unwrap_or_else(|| "clawr".to_owned());
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return said_by_clap(&error),
    };
    #[cfg(feature = "failpoints")]
    std::mem::forget(fail::FailScenario::setup());
    let Global { config, set, json } = cli.global;
    let values = set.into_iter().map(|(key, value)| (format!("--set {key}"), key, value)).collect();
    let context = Context {
        out: Out::new(json, environment.no_colour()),
        environment: environment.clone(),
        flags: Flags { file: config, values, without_file: false },
        program,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(dispatch(cli.command, context));
    // a store's thread or a look-up that hangs must not keep a finished command
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    ended
}

/// `--help` and `--version` are answers; everything else is a mistake with the code for mistakes.
fn said_by_clap(error: &clap::Error) -> anyhow::Result<Exit> {
    error.print()?;
    Ok(if error.use_stderr() { Exit::Usage } else { Exit::Done })
}

async fn dispatch(command: Command, context: Context) -> anyhow::Result<Exit> {
    match command {
        Command::Demo(args) => demo::run(args, context).await,
        Command::Serve(args) => serve::serve(args, context).await,
        Command::Work => serve::work(context).await,
        Command::Migrate(args) => commands::migrate::run(args, context).await,
        Command::Doctor => doctor::run(context).await,
        Command::CheckConfig => check_config::run(&context),
        Command::Config(args) => config_init::run(args, &context),
        Command::Jobs(args) => jobs::run(args, context).await,
        Command::Settlements(args) => settlements::run(args, context).await,
        Command::Effects(args) => effects::run(args, context).await,
        Command::Sequences(args) => sequences::run(args, context).await,
        Command::Signals(args) => signals::run(args, context).await,
        Command::Ledger(args) => ledger::run(args, context).await,
        Command::Audit(args) => audit::run(args, context).await,
        Command::Keys(args) => keys::run(args, context).await,
        Command::Tenants(args) => tenants::run(args, context).await,
        Command::Apis(args) => apis::run(args, context).await,
        Command::Workers(args) => lists::workers(args, context).await,
        Command::Queues(args) => queues::run(args, context).await,
        Command::Health(args) => health::run(args, context).await,
        Command::Bench(args) => bench::run(args, &context).await,
        Command::Completions(args) => completions::completions::<Cli>(args, &context),
        Command::Man => completions::man::<Cli>(&context),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_command_takes_a_global_option_for_its_own() {
        fn own(command: &clap::Command, globals: &[&str], found: &mut Vec<String>) {
            let taken = command.get_arguments().filter(|a| globals.contains(&a.get_id().as_str()));
            found.extend(taken.map(|a| format!("{} --{}", command.get_name(), a.get_id())));
            command.get_subcommands().for_each(|sub| own(sub, globals, found));
        }
        let cli = Cli::command();
        let globals: Vec<&str> = cli.get_arguments().filter(|a| a.is_global_set()).map(|a| a.get_id().as_str()).collect();
        let mut found = Vec::new();
        cli.get_subcommands().for_each(|sub| own(sub, &globals, &mut found));
        assert!(globals.contains(&"config") && found.is_empty(), "{found:?}");
    }

    #[test]
    fn every_promised_command_exists() {
        let promised = "demo serve work migrate doctor check-config config jobs settlements effects ledger audit keys tenants apis workers \
            queues health bench completions man";
        let known: Vec<String> = Cli::command().get_subcommands().map(|c| c.get_name().to_owned()).collect();
        for name in promised.split_whitespace() {
            assert!(known.iter().any(|k| k == name), "{name}");
        }
    }

    #[test]
    fn a_wrong_word_is_a_usage_error_and_help_is_not() {
        let ended = |words: &[&str]| {
            let words = words.iter().map(OsString::from).collect::<Vec<_>>();
            run(words.into_iter(), &Environment::default()).unwrap()
        };
        assert_eq!(ended(&["clawr", "jbos"]), Exit::Usage);
        assert_eq!(ended(&["clawr", "--help"]), Exit::Done);
        assert_eq!(ended(&["clawr", "--set", "nonsense", "work"]), Exit::Usage);
    }
}
