//! Settlements: what a dispatcher reports of payments, taken in once each, and posted to the ledger.
//!
//! A report says that somebody paid; only the chain knows. So a report is stored as `reported` (or `unknown`, while the
//! best report so far is pending or a failure), and nothing it says later takes that back. The payment's identity is
//! (network, asset, payer, nonce): the authorization that can be used at most once on chain.
//!
//! In reading order: [`networks`] (what we accept), [`report`] (what one message shows by itself), [`verdict`] (what it
//! means beside what is stored), [`intake`] (many reports in one commit), [`mod@post`] (the ledger entry), [`store`].

mod catalog;
pub mod intake;
mod json;
pub mod networks;
pub mod post;
mod reader;
#[cfg(test)]
mod recorded;
pub mod report;
pub mod store;
pub mod verdict;

pub use intake::{Answer, Intake, IntakeError, JobPolicy};
pub use networks::{Network, Networks};
pub use post::{Posting, post};
pub use reader::Reader;
pub use report::{Outcome, Refusal, Report, inspect};
pub use store::{Filter, Settlement};
pub use verdict::Verdict;
