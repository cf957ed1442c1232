//! Who may do what: API keys and the signatures of those who call back.
//!
//! In reading order: [`token`] (what a holder has), [`scopes`], [`keys`] (issue, rotate, revoke), [`verifier`] (per
//! request), [`webhook`] (signed callbacks).

pub mod keys;
pub mod scopes;
pub mod token;
pub mod verifier;
pub mod webhook;

pub use keys::{Issued, Key, NewKey};
pub use scopes::{Permission, Scopes};
pub use token::Pepper;
pub use verifier::{Credential, Denied, Verifier};
