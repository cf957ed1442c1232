//! Peppers: the keys of stored hashes. An embedded store makes its own beside its file on the first start; every other
//! store is told where they are, because several hosts must share them.

use super::{Config, SecretFiles};
use crate::exit::{Exit, Failure};
use anyhow::Context;
use clawr_engine::db::StoreUrl;
use secrecy::{ExposeSecret, SecretSlice};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Fewer bytes than this are no secret.
const BYTES_MIN: usize = 32;

/// The two peppers of a store.
pub struct Peppers {
    /// Keys the hashes of jobs' permanent identities.
    pub register: Pepper,
    /// Keys the hashes of API keys.
    pub key: Pepper,
}

/// One secret, shown to nobody by accident.
#[derive(Clone)]
pub struct Pepper(SecretSlice<u8>);

impl Pepper {
    /// The bytes, for the one who hashes.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.expose_secret().to_vec()
    }
}

/// A pepper's setting, its name in a folder, and what is lost without it.
struct Role {
    setting: &'static str,
    file: &'static str,
    keys: &'static str,
}

const REGISTER: Role = Role { setting: "secrets.register_pepper_file", file: "register.pepper", keys: "the identities of its jobs" };
const KEY: Role = Role { setting: "secrets.key_pepper_file", file: "key.pepper", keys: "its API keys" };

impl Peppers {
    /// Reads both. `is_fresh` = the store holds nothing yet, so missing ones may be made.
    pub fn load(config: &Config, is_fresh: bool) -> anyhow::Result<Peppers> {
        let SecretFiles { register_pepper, key_pepper } = &config.secret_files;
        let folder = match &config.store.url {
            StoreUrl::Sqlite(path) => Some(beside(path)),
            _ => None,
        };
        let missing: Vec<&str> = [(&REGISTER, register_pepper), (&KEY, key_pepper)]
            .iter()
            .filter(|(_, file)| file.is_none() && folder.is_none())
            .map(|(role, _)| role.setting)
            .collect();
        if !missing.is_empty() {
            return Err(Failure::new(Exit::Usage, not_set(&missing)).into());
        }
        let one = |role: &Role, file: &Option<PathBuf>| match (file, &folder) {
            (Some(file), _) => read(file).context(role.setting),
            (None, Some(folder)) => own(&folder.join(role.file), role, is_fresh),
            (None, None) => Err(Failure::new(Exit::Usage, not_set(&[role.setting])).into()),
        };
        Ok(Peppers { register: one(&REGISTER, register_pepper)?, key: one(&KEY, key_pepper)? })
    }
}

fn beside(database: &Path) -> PathBuf {
    match database.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn not_set(settings: &[&str]) -> String {
    let names = settings.join(" and ");
    format!(
        "{names} must be set: only an embedded SQLite store makes its own. Make each once, keep it as long as the store, \
         and give the same file to every process: (umask 077; openssl rand -hex 32 > FILE)"
    )
}

/// The store's own file: read, or made if the store is fresh.
fn own(path: &Path, role: &Role, is_fresh: bool) -> anyhow::Result<Pepper> {
    if path.exists() {
        return read(path);
    }
    if !is_fresh {
        let text = format!("{} is missing, and without it {} are lost: restore it from the backup", path.display(), role.keys);
        return Err(Failure::new(Exit::Usage, text).into());
    }
    make(path).with_context(|| format!("failed to make {}", path.display()))?;
    read(path)
}

/// Made under another name first and then linked, so that of two first starts both read the same whole file.
fn make(path: &Path) -> anyhow::Result<()> {
    let mut bytes = [0u8; BYTES_MIN];
    getrandom::fill(&mut bytes).map_err(|e| anyhow::anyhow!("no random bytes: {e}"))?;
    let text: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    let draft = path.with_extension(format!("pepper.{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(()),
    }
}

fn read(path: &Path) -> anyhow::Result<Pepper> {
    let bytes = fs::read(path).map_err(|e| Failure::new(Exit::Usage, format!("cannot read {}: {e}", path.display())))?;
    let trimmed = bytes.trim_ascii();
    if trimmed.len() < BYTES_MIN {
        let text = format!("{} holds {} bytes; a pepper has {BYTES_MIN} random ones or more", path.display(), trimmed.len());
        return Err(Failure::new(Exit::Usage, text).into());
    }
    if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
        tracing::warn!("{} can be read by others than its owner", path.display());
    }
    Ok(Pepper(trimmed.to_vec().into()))
}
