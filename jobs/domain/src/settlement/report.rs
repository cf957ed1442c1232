//! One settlement report: what it says, and whether it can be true by what it shows itself.
//!
//! Pure. The rules run in one fixed order and the first that is broken names the refusal, so a sender always hears the
//! same reason for the same message. The envelope is ours and closed; the three objects of the payment protocol inside
//! it are open: fields nobody knows are kept with the raw message.

mod view;

use super::networks::Networks;
use crate::money::Micros;
use view::View;

/// A report that does not contradict itself. Hex is lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The sender's id of this message.
    pub event_id: String,
    /// When it happened by the sender's clock, microseconds since 1970 UTC.
    pub occurred_at: i64,
    /// The UTC day of that: `2026-10-31`.
    pub day: String,
    /// Slug of the selling tenant.
    pub tenant: String,
    /// Slug of the API that was called.
    pub api: String,
    /// As sent; empty if absent.
    pub resource_type: String,
    /// The call this payment was for.
    pub request_id: String,
    /// Hash of the caller's address; empty if absent.
    pub caller_hash: String,
    /// The spend reservation it uses; empty if absent.
    pub reservation_id: String,
    /// Protocol version of the message: 1 or 2.
    pub version: i64,
    /// Payment scheme; empty if absent.
    pub scheme: String,
    /// CAIP-2.
    pub network: String,
    /// Token contract.
    pub asset: String,
    /// Who authorized the payment.
    pub payer: String,
    /// The authorization's nonce.
    pub nonce: String,
    /// Which of our addresses it goes to.
    pub pay_to: String,
    /// How much.
    pub amount: Micros,
    /// The authorization's window, Unix seconds, at most 9·10¹⁵.
    pub valid_after: i64,
    /// End of the window.
    pub valid_before: i64,
    /// What the facilitator said became of it.
    pub outcome: Outcome,
    /// The transaction it named; empty if none.
    pub tx: String,
    /// Its reason, verbatim; never decides anything.
    pub error_reason: String,
}

/// What a settle response claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Paid.
    Success,
    /// Broadcast, not yet seen in a block.
    Pending,
    /// Anything else; it may be paid all the same.
    Failure,
}

impl Outcome {
    /// The stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Success => "success",
            Outcome::Pending => "pending",
            Outcome::Failure => "failure",
        }
    }
}

/// Why a message cannot be what it claims to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {pointer} {detail}")]
pub struct Refusal {
    /// Stable name of the rule.
    pub reason: &'static str,
    /// JSON pointer of the field that breaks it; empty for the whole message.
    pub pointer: String,
    /// A fragment that says what is wrong.
    pub detail: String,
}

impl Refusal {
    pub(super) fn new(reason: &'static str, pointer: &str, detail: impl Into<String>) -> Self {
        Self { reason, pointer: pointer.to_owned(), detail: detail.into() }
    }
}

impl Report {
    /// The payment's identity as one text: what reports of the same payment share, and the order of locks.
    pub fn payment(&self) -> String {
        format!("{}:{}:{}:{}", self.network, self.asset, self.payer, self.nonce)
    }

    /// The state a payment first heard of like this begins with.
    pub fn first_state(&self) -> &'static str {
        if self.outcome == Outcome::Success { "reported" } else { "unknown" }
    }
}

/// Reads and judges one raw message. Whether its tenant and API exist is asked afterwards.
pub fn inspect(raw: &[u8], networks: &Networks) -> Result<Report, Refusal> {
    let message = super::json::read(raw).map_err(|why| Refusal::new("malformed", "", why))?;
    let view = View::of(&message)?;
    let envelope = view.envelope()?;
    let version = view.version()?;
    let network = view.network(version, networks)?;
    let asset = view.asset(network)?;
    let amount = view.amount(version)?;
    let pay_to = view.pay_to(network)?;
    let nonce = view.nonce()?;
    let payer = view.payer()?;
    let (valid_after, valid_before) = view.window();
    Ok(Report {
        version,
        scheme: view.scheme(version),
        network: network.id.clone(),
        asset,
        payer,
        nonce,
        pay_to,
        amount,
        valid_after,
        valid_before,
        ..envelope
    })
}
