//! The message's fields, one rule a function, in the order in which [`super::inspect`] asks.

use super::super::networks::{Network, Networks};
use super::{Outcome, Refusal, Report};
use crate::money::Micros;
use jiff::Timestamp;
use serde_json::{Map, Value as Json};

type Object = Map<String, Json>;

/// The envelope's fields; others are refused.
const FIELDS: [&str; 13] = [
    "id",
    "type",
    "occurred_at",
    "tenant",
    "api",
    "resource_type",
    "request_id",
    "caller_hash",
    "reservation_id",
    "x402Version",
    "paymentRequirements",
    "paymentPayload",
    "settleResponse",
];
const TYPE: &str = "settlement.reported";
const TEXT_MAX: usize = 256;
const ID_MAX: usize = 128;

/// The message cut into its parts.
pub(super) struct View<'m> {
    event: &'m Object,
    requirements: &'m Object,
    payload: &'m Object,
    settled: &'m Object,
    authorization: &'m Object,
}

fn malformed(pointer: &str, detail: &str) -> Refusal {
    Refusal::new("malformed", pointer, detail)
}

fn object<'m>(of: &'m Object, name: &str, pointer: &str) -> Result<&'m Object, Refusal> {
    of.get(name).and_then(Json::as_object).ok_or_else(|| malformed(pointer, "must be an object"))
}

fn text<'m>(of: &'m Object, name: &str) -> Option<&'m str> {
    of.get(name).and_then(Json::as_str)
}

fn is_hex(text: &str, digits: usize) -> bool {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    hex.is_some_and(|h| h.len() == digits && h.bytes().all(|b| b.is_ascii_hexdigit()))
}

impl<'m> View<'m> {
    pub fn of(message: &'m Json) -> Result<Self, Refusal> {
        let event = message.as_object().ok_or_else(|| malformed("", "must be an object"))?;
        let requirements = object(event, "paymentRequirements", "/paymentRequirements")?;
        let payload = object(event, "paymentPayload", "/paymentPayload")?;
        let settled = object(event, "settleResponse", "/settleResponse")?;
        let inner = object(payload, "payload", "/paymentPayload/payload")?;
        let authorization = object(inner, "authorization", "/paymentPayload/payload/authorization")?;
        Ok(Self { event, requirements, payload, settled, authorization })
    }

    /// Our own fields. What the rules after this one find is filled in by the caller.
    pub fn envelope(&self) -> Result<Report, Refusal> {
        if let Some(unknown) = self.event.keys().find(|k| !FIELDS.contains(&k.as_str())) {
            return Err(malformed(&format!("/{}", unknown.replace('~', "~0").replace('/', "~1")), "is not a field of this message"));
        }
        if self.required("type")? != TYPE {
            return Err(malformed("/type", "must be settlement.reported"));
        }
        let (occurred_at, day) = self.occurred_at()?;
        Ok(Report {
            event_id: self.event_id()?,
            occurred_at,
            day,
            tenant: self.required("tenant")?,
            api: self.required("api")?,
            resource_type: self.optional("resource_type")?,
            request_id: self.required("request_id")?,
            caller_hash: self.optional("caller_hash")?,
            reservation_id: self.optional("reservation_id")?,
            outcome: self.outcome(),
            tx: self.tx()?,
            error_reason: text(self.settled, "errorReason").unwrap_or_default().to_owned(),
            version: 0,
            scheme: String::new(),
            network: String::new(),
            asset: String::new(),
            payer: String::new(),
            nonce: String::new(),
            pay_to: String::new(),
            amount: Micros::ZERO,
            valid_after: 0,
            valid_before: 0,
        })
    }

    fn required(&self, name: &str) -> Result<String, Refusal> {
        match text(self.event, name) {
            Some(value) if value.chars().count() <= TEXT_MAX => Ok(value.to_owned()),
            Some(_) => Err(malformed(&format!("/{name}"), "is longer than 256 characters")),
            None => Err(malformed(&format!("/{name}"), "must be a text")),
        }
    }

    fn optional(&self, name: &str) -> Result<String, Refusal> {
        match self.event.get(name) {
            None | Some(Json::Null) => Ok(String::new()),
            Some(_) => self.required(name),
        }
    }

    /// The same alphabet as the webhook header that repeats it; a full stop would make the signed text ambiguous.
    fn event_id(&self) -> Result<String, Refusal> {
        let id = self.required("id")?;
        let plain = id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if id.is_empty() || id.len() > ID_MAX || !plain {
            return Err(malformed("/id", "must be 1 to 128 letters, digits, _ or -"));
        }
        Ok(id)
    }

    fn occurred_at(&self) -> Result<(i64, String), Refusal> {
        let text = self.required("occurred_at")?;
        let bad = || malformed("/occurred_at", "must be an RFC 3339 time between 1970 and 2255");
        if !looks_like_rfc3339(&text) {
            return Err(bad());
        }
        let at: Timestamp = text.parse().map_err(|_| bad())?;
        let micros = Micros::new(at.as_microsecond()).ok_or_else(bad)?;
        Ok((micros.get(), at.strftime("%F").to_string()))
    }

    fn outcome(&self) -> Outcome {
        match self.settled.get("success") {
            Some(Json::Bool(true)) => Outcome::Success,
            _ if text(self.settled, "errorReason") == Some("settlement_pending") => Outcome::Pending,
            _ => Outcome::Failure,
        }
    }

    fn tx(&self) -> Result<String, Refusal> {
        match self.settled.get("transaction") {
            None | Some(Json::Null) => Ok(String::new()),
            Some(Json::String(tx)) if tx.len() <= TEXT_MAX => Ok(tx.to_lowercase()),
            Some(_) => Err(malformed("/settleResponse/transaction", "must be a text of at most 256 bytes")),
        }
    }

    pub fn version(&self) -> Result<i64, Refusal> {
        let bad = |pointer, detail: &str| Err(Refusal::new("unsupported_version", pointer, detail));
        match self.event.get("x402Version").and_then(Json::as_i64) {
            Some(version @ (1 | 2)) if self.payload.get("x402Version").and_then(Json::as_i64) == Some(version) => Ok(version),
            Some(1 | 2) => bad("/paymentPayload/x402Version", "differs from /x402Version"),
            _ => bad("/x402Version", "must be 1 or 2"),
        }
    }

    pub fn network<'n>(&self, version: i64, networks: &'n Networks) -> Result<&'n Network, Refusal> {
        let named = |name: Option<&str>| name.and_then(|n| networks.named(version, n));
        let network = named(text(self.requirements, "network"))
            .ok_or_else(|| Refusal::new("network_not_allowed", "/paymentRequirements/network", "is not a network payments are taken on"))?;
        let (second, pointer) = match version {
            1 => (text(self.payload, "network"), "/paymentPayload/network"),
            _ => (self.accepted().and_then(|a| text(a, "network")), "/paymentPayload/accepted/network"),
        };
        for (name, pointer) in [(second, pointer), (text(self.settled, "network"), "/settleResponse/network")] {
            if named(name).is_none_or(|n| n.id != network.id) {
                return Err(Refusal::new("network_mismatch", pointer, "differs from /paymentRequirements/network"));
            }
        }
        Ok(network)
    }

    fn accepted(&self) -> Option<&'m Object> {
        self.payload.get("accepted").and_then(Json::as_object)
    }

    pub fn asset(&self, network: &Network) -> Result<String, Refusal> {
        match text(self.requirements, "asset") {
            Some(asset) if network.has_asset(asset) => Ok(asset.to_lowercase()),
            _ => Err(Refusal::new("asset_not_allowed", "/paymentRequirements/asset", "is not a token payments are taken in")),
        }
    }

    pub fn amount(&self, version: i64) -> Result<Micros, Refusal> {
        let (name, pointer) = match version {
            1 => ("maxAmountRequired", "/paymentRequirements/maxAmountRequired"),
            _ => ("amount", "/paymentRequirements/amount"),
        };
        let shown = text(self.requirements, name);
        let amount = shown.and_then(|t| Micros::parse(t).ok()).filter(|a| *a > Micros::ZERO);
        let bad = || Refusal::new("invalid_amount", pointer, format!("must be a decimal text between 1 and {}", Micros::MAX));
        let amount = amount.ok_or_else(bad)?;
        if text(self.authorization, "value") != shown {
            let pointer = "/paymentPayload/payload/authorization/value";
            return Err(Refusal::new("value_amount_mismatch", pointer, "differs from the required amount"));
        }
        Ok(amount)
    }

    pub fn pay_to(&self, network: &Network) -> Result<String, Refusal> {
        let pay_to = text(self.requirements, "payTo").filter(|a| is_hex(a, 40) && network.is_treasury(a));
        let pay_to = pay_to.ok_or_else(|| Refusal::new("pay_to_not_ours", "/paymentRequirements/payTo", "is not an address of ours"))?;
        let to = text(self.authorization, "to");
        if !to.is_some_and(|to| to.eq_ignore_ascii_case(pay_to)) {
            let pointer = "/paymentPayload/payload/authorization/to";
            return Err(Refusal::new("to_pay_to_mismatch", pointer, "differs from /paymentRequirements/payTo"));
        }
        Ok(pay_to.to_lowercase())
    }

    pub fn nonce(&self) -> Result<String, Refusal> {
        let nonce = text(self.authorization, "nonce").filter(|n| is_hex(n, 64));
        let bad = || Refusal::new("invalid_nonce", "/paymentPayload/payload/authorization/nonce", "must be 0x and 64 hex digits");
        nonce.map(str::to_lowercase).ok_or_else(bad)
    }

    pub fn payer(&self) -> Result<String, Refusal> {
        let bad = |pointer, detail: &str| Refusal::new("payer_mismatch", pointer, detail);
        let from = text(self.authorization, "from").filter(|a| is_hex(a, 40));
        let from = from.ok_or_else(|| bad("/paymentPayload/payload/authorization/from", "must be 0x and 40 hex digits"))?;
        match self.settled.get("payer") {
            None => Ok(from.to_lowercase()),
            Some(Json::String(payer)) if payer.eq_ignore_ascii_case(from) => Ok(from.to_lowercase()),
            Some(_) => Err(bad("/settleResponse/payer", "differs from the authorization's from")),
        }
    }

    pub fn scheme(&self, version: i64) -> String {
        let of = if version == 1 { self.payload } else { self.requirements };
        text(of, "scheme").unwrap_or_default().chars().take(TEXT_MAX).collect()
    }

    /// What cannot be read as a time is taken as an open end: the chain judges it, not we.
    pub fn window(&self) -> (i64, i64) {
        let seconds = |name| match self.authorization.get(name) {
            Some(Json::String(t)) if !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit()) => Some(t.parse().unwrap_or(i64::MAX)),
            Some(Json::Number(n)) => n.as_i64(),
            _ => None,
        };
        let within = |n: i64| n.clamp(0, Micros::MAX.get());
        (within(seconds("validAfter").unwrap_or(0)), within(seconds("validBefore").unwrap_or(i64::MAX)))
    }
}

/// `2026-10-31T00:09:49[.fraction](Z|±hh:mm)`: the parser behind it also reads other forms of ISO 8601.
fn looks_like_rfc3339(text: &str) -> bool {
    let b = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| b.get(range).is_some_and(|part| part.iter().all(u8::is_ascii_digit));
    let marks = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')].iter().all(|&(i, mark)| b.get(i) == Some(&mark));
    let numbers = digits(0..4) && digits(5..7) && digits(8..10) && digits(11..13) && digits(14..16) && digits(17..19);
    let separator = matches!(b.get(10), Some(b'T' | b't'));
    let Some(rest) = text.get(19..).filter(|_| marks && numbers && separator) else { return false };
    let rest = rest.strip_prefix('.').map_or(rest, |r| {
        let digits = r.bytes().take_while(u8::is_ascii_digit).count();
        if (1..=9).contains(&digits) { &r[digits..] } else { "" }
    });
    let offset = |r: &str| r.len() == 6 && matches!(r.as_bytes()[0], b'+' | b'-') && r.as_bytes()[3] == b':';
    matches!(rest, "Z" | "z") || (offset(rest) && rest.bytes().filter(u8::is_ascii_digit).count() == 4)
}
