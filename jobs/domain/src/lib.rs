//! The business of a marketplace whose callers pay per call: reports of settlements, a double-entry ledger, tenants and
//! their APIs, credentials, the audit trail. Knows the engine's store and nothing of HTTP, pools or chains.
//!
//! Functions that write are pure and return `Vec<Write>` wherever a job's handler needs them; what the API does at once
//! (taking in a report, creating a tenant) commits by itself and says what happened as a value.
//!
//! In reading order, with what other crates call:
//!
//! * [`money`]: `Micros::{new, get, parse, checked_add, checked_sub}`, shown and serialized as a decimal string.
//! * [`refusal`]: `Problem::{Invalid, Conflict, NotFound, Forbidden, Store}`, the one error of this crate but for
//!   [`settlement::IntakeError`] and [`access::Denied`].
//! * [`page`]: every list takes a `&Page` and answers `Listed { items, next }`; every create answers `Created`.
//! * [`ports`]: `Ports::new(Db, Clock)`, `Ports { clock, settlements }`.
//! * [`settlement`]:
//!   * `Networks::new(Vec<Network>)`, `Network { id, v1_name, assets, treasuries }`
//!   * `inspect(&[u8], &Networks) -> Result<Report, Refusal { reason, pointer, detail }>` (pure)
//!   * `Intake::new(Db, Clock, Networks, JobPolicy { version, max_attempts })` inside a runtime; cheap to clone;
//!     `submit(Vec<u8>, &Actor) -> Result<Answer { verdict, settlement_id, job_id, state, duplicate }, IntakeError>`
//!   * `post(&Settlement, &Posting) -> Vec<Write>` (pure), `Posting::new(&Clock)`; what the kind `settlement` does with
//!     `Reader::read(id)`; no writes = posted already; guard `stale` = read again
//!   * `store::{get, list, counts, events}`
//! * [`ledger`]: `accounts`, `entries`, `verify(&Db) -> Report`.
//! * [`audit`]: `Actor::{system, new}`, `entry(&Actor, &Stamp, Event) -> Vec<Write>` (pure), `record`, the duty
//!   `seal(&Db) -> u64`, `verify(&Db, now_us) -> Report`, `list`.
//! * [`tenants`]: `create(&Db, &Clock, &Actor, New) -> Created<Tenant>`, `get`, `get_by_id`, `list`.
//! * [`apis`]: `create(&Db, &Clock, &Scope, &Actor, &Tenant, New) -> Created<Api>`, `get`, `list`.
//! * [`access`]: `keys::Issuer { db, clock, pepper, scope, actor }` with `create(NewKey) -> Issued`, `rotate`, `revoke`;
//!   `keys::{get, list}`; `Verifier::new(Db, Clock, Pepper)`, `verify(&str) -> Result<Credential, Denied>`;
//!   [`access::webhook`]: `verify(&[&str], Headers, &[u8], now_us)`, `sign`.
//!
//! Every read of tenant data takes a `&Scope`; sealing and verification walk the whole store.

pub mod access;
pub mod apis;
pub mod audit;
mod digest;
pub mod ledger;
pub mod money;
pub mod page;
pub mod ports;
pub mod refusal;
pub mod settlement;
mod slug;
pub mod tenants;
pub mod time;

pub use money::Micros;
pub use page::{Created, Listed, Page};
pub use ports::Ports;
pub use refusal::{FieldError, Problem};
