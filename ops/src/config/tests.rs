use super::*;
use crate::exit::{Exit, of};

const USDC: &str = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";

fn environment(variables: &[(&str, &str)]) -> Environment {
    let home = [("HOME".to_owned(), "/nowhere".to_owned())];
    let all = home.into_iter().chain(variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
    Environment::of(all, PathBuf::from("/nowhere/tmp"))
}

fn flags(values: &[(&str, &str)]) -> Flags {
    let values = values.iter().map(|(key, value)| ("--set".to_owned(), (*key).to_owned(), (*value).to_owned()));
    Flags { file: None, values: values.collect(), without_file: true }
}

/// A file that is gone when the test is.
struct TempFile(PathBuf);

impl TempFile {
    fn new(name: &str, text: &str) -> Self {
        let path = PathBuf::from(format!("/tmp/clawr-config-test-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn flags(&self, values: &[(&str, &str)]) -> Flags {
        Flags { file: Some(self.0.clone()), without_file: false, ..flags(values) }
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

fn problems(variables: &[(&str, &str)], values: &[(&str, &str)]) -> Vec<String> {
    Config::load(&environment(variables), &flags(values)).unwrap_err().0
}

#[test]
fn nothing_set_is_a_good_configuration() {
    let config = Config::load(&environment(&[]), &flags(&[])).unwrap();
    assert_eq!(config.store.url.to_string(), "sqlite:///nowhere/.local/share/clawr/clawr.db");
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!((config.networks[0].id.as_str(), config.networks[0].v1_name.as_str()), ("eip155:8453", "base"));
    assert_eq!(config.source("http.listen"), "default");
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let file = TempFile::new("precedence.toml", "[http]\nlisten = \"127.0.0.1:1\"\nbase_path = \"/file\"\n[log]\nlevel = \"warn\"\n");
    let environment = environment(&[("CLAWR_HTTP__LISTEN", "127.0.0.1:2"), ("CLAWR_LOG__LEVEL", "debug")]);
    let config = Config::load(&environment, &file.flags(&[("http.listen", "127.0.0.1:3")])).unwrap();
    assert_eq!(config.http.listen.port(), 3);
    assert_eq!((config.log.level.as_str(), config.source("log.level")), ("debug", "CLAWR_LOG__LEVEL"));
    assert_eq!((config.http.base_path.as_str(), config.source("http.base_path")), ("/file", file.0.to_str().unwrap()));
    assert_eq!(config.source("http.listen"), "--set");
}

#[test]
fn an_unknown_key_is_refused_and_the_near_one_named() {
    let found = problems(&[("CLAWR_STORE__URI", "sqlite:///x")], &[("worker.queues", "money=1")]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("store.uri is not a setting (CLAWR_STORE__URI); did you mean store.url?"), "{found:?}");
    assert!(found[1].contains("did you mean workers.queues?"), "{found:?}");
    let file = TempFile::new("unknown.toml", "[http]\nlisen = \"x\"\n");
    let found = Config::load(&environment(&[]), &file.flags(&[])).unwrap_err().to_string();
    assert!(found.contains("http.lisen is not a setting") && found.contains("unknown.toml") && found.contains("http.listen?"), "{found}");
}

#[test]
fn all_problems_are_told_at_once() {
    let found = problems(
        &[("CLAWR_STORE__URL", "mysql://x"), ("CLAWR_HTTP__LISTEN", "here"), ("CLAWR_WORKERS__SHUTDOWN_GRACE_S", "soon")],
        &[("chain.treasury", "0x12"), ("log.format", "xml"), ("nonsense", "1")],
    );
    for key in ["store.url", "http.listen", "workers.shutdown_grace_s", "chain.treasury", "log.format", "nonsense"] {
        assert!(found.iter().any(|p| p.starts_with(key)), "{key} is not in {found:?}");
    }
    let text = Problems(found).to_string();
    assert!(text.starts_with("the configuration has 6 problems:\n"), "{text}");
    assert_eq!(of(&crate::cli::configuration(Problems(vec![]))), Exit::Usage);
}

#[test]
fn a_password_is_masked_wherever_values_are_shown() {
    let config = Config::load(&environment(&[("CLAWR_STORE__URL", "postgres://bob:hunter2@db/clawr")]), &flags(&[])).unwrap();
    let shown = config.effective.iter().find(|e| e.key == "store.url").unwrap();
    assert_eq!((shown.value.as_str(), shown.source.as_str()), ("postgres://bob:***@db/clawr", "CLAWR_STORE__URL"));
    assert!(!format!("{:?}", config.effective).contains("hunter2"));
    let found = problems(&[("CLAWR_STORE__URL", "mysql://bob:hunter2@db/clawr")], &[]);
    assert!(!found.concat().contains("hunter2"), "{found:?}");
}

#[test]
fn the_harness_may_set_its_own_names_and_empty_means_absent() {
    let others = [("CLAWR_TEST_STORES", "sqlite"), ("CLAWR_CHAOS", "long"), ("CLAWR_API_KEY", "clawr_live_x"), ("CLAWR_LOG__LEVEL", "")];
    let config = Config::load(&environment(&others), &flags(&[])).unwrap();
    assert_eq!(config.log.level, "info");
}

#[test]
fn lists_and_tables_can_be_said_in_a_variable() {
    let further = format!("{{ \"eip155:84532\" = {{ v1_name = \"base-sepolia\", assets = [\"{USDC}\"] }} }}");
    let variables = [
        ("CLAWR_WORKERS__QUEUES", "money=4, mail = 2"),
        ("CLAWR_CHAIN__TREASURY", USDC),
        ("CLAWR_CHAIN__FORMER_TREASURIES", "0x7F7E6911FA4AAE7C72bEd97004cE58F3f427AF43"),
        ("CLAWR_CHAIN__NETWORKS", further.as_str()),
    ];
    let config = Config::load(&environment(&variables), &flags(&[])).unwrap();
    assert_eq!(config.workers.queues, BTreeMap::from([("money".to_owned(), 4), ("mail".to_owned(), 2)]));
    assert_eq!(config.networks.len(), 2);
    assert_eq!(config.networks[1].v1_name, "base-sepolia");
    assert_eq!(config.networks[1].treasuries.len(), 2);
    let one = Config::load(&environment(&[("CLAWR_WORKERS__QUEUES__MONEY", "9")]), &flags(&[])).unwrap();
    assert_eq!(one.workers.queues["money"], 9);
}

#[test]
fn the_example_names_every_setting_and_nothing_else() {
    let bare: String = EXAMPLE
        .lines()
        .map(|line| line.strip_prefix('#').filter(|l| l.contains(" = ") && !l.starts_with(' ')).unwrap_or(line))
        .map(|l| format!("{l}\n"))
        .collect();
    for key in KEYS {
        let name = key.path.rsplit('.').next().unwrap();
        assert!(bare.lines().any(|line| line.starts_with(&format!("{name} = "))), "{} is not in the example", key.path);
    }
    let file = TempFile::new("example.toml", EXAMPLE);
    Config::load(&environment(&[]), &file.flags(&[])).unwrap();
}

#[test]
fn a_pepper_is_made_once_for_a_fresh_store_and_never_again() {
    let folder = PathBuf::from(format!("/tmp/clawr-pepper-test-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let url = format!("sqlite://{}/clawr.db", folder.display());
    let config = Config::load(&environment(&[]), &flags(&[("store.url", &url)])).unwrap();
    let first = Peppers::load(&config, true).unwrap();
    let second = Peppers::load(&config, false).unwrap();
    assert_eq!(first.register.bytes(), second.register.bytes());
    assert_ne!(first.register.bytes(), first.key.bytes());
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(folder.join("key.pepper")).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::remove_file(folder.join("key.pepper")).unwrap();
    let refused = Peppers::load(&config, false).err().unwrap().to_string();
    assert!(refused.contains("restore it from the backup"), "{refused}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_shared_store_must_be_told_its_peppers() {
    let config = Config::load(&environment(&[("CLAWR_STORE__URL", "postgres://db/clawr")]), &flags(&[])).unwrap();
    let refused = Peppers::load(&config, true).err().unwrap();
    assert_eq!(of(&refused), Exit::Usage);
    let text = refused.to_string();
    assert!(text.contains("secrets.register_pepper_file and secrets.key_pepper_file must be set"), "{text}");
}

#[test]
fn how_long_jobs_are_kept_is_the_stores_word_unless_it_is_said() {
    let nothing = Config::load(&environment(&[]), &flags(&[])).unwrap();
    assert_eq!(nothing.retention, Retention::default());
    let said = Config::load(&environment(&[("CLAWR_RETENTION__SHORT_DAYS", "14")]), &flags(&[])).unwrap();
    assert_eq!(said.retention, Retention { short_days: Some(14), long_days: None });
    let wrong = problems(&[], &[("retention.short_days", "0"), ("retention.long_days", "364")]);
    assert_eq!(
        wrong,
        [
            "retention.short_days must be a whole number from 1 to 90 (--set)",
            "retention.long_days must be a whole number from 365 to 36500 (--set)"
        ]
    );
}
