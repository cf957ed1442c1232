//! What a caller asks for when making a job, and whether it may have it.

use super::is_open;
use crate::api::Api;
use crate::auth::Caller;
use crate::fields::Fields;
use crate::problem::Problem;
use axum::http::StatusCode;
use clawr_domain::refusal::FieldError;
use clawr_engine::job::{NewJob, PRIORITY_MAX, PRIORITY_MIN};
use clawr_engine::kind::Entry;
use clawr_engine::seal::NO_KEY;
use clawr_engine::sequence::KEY_MAX;
use serde_json::Value as Json;

const TAGS_MAX: usize = 32;
const ATTEMPTS_MAX: i64 = 1_000;

/// One job as asked for: well formed, not yet allowed.
pub struct Asked {
    /// Where it stands in the body.
    at: String,
    args: Json,
    tenant: Option<String>,
    /// Its identity.
    pub key: Option<String>,
    /// The sequence it names.
    sequence: Option<String>,
    job: NewJob,
}

/// Reads the object at pointer `at`.
pub fn read(value: Json, at: &str) -> Result<Asked, Problem> {
    let mut fields = Fields::of(value, at);
    let args = fields.json("args");
    if args.is_none() {
        fields.missing("args");
    }
    let mut job = NewJob {
        kind: fields.needed_text("kind"),
        queue: fields.text_of("queue", 64).unwrap_or_default(),
        priority: fields.int("priority", PRIORITY_MIN..=PRIORITY_MAX),
        run_at: fields.time("run_at"),
        deadline: fields.time("deadline"),
        max_attempts: fields.int("max_attempts", 1..=ATTEMPTS_MAX),
        tags: fields.texts("tags", TAGS_MAX).unwrap_or_default(),
        ..NewJob::default()
    };
    if !job.queue.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-') {
        fields.wrong("queue", "must be lower-case letters, digits, _ or -");
    }
    let key = fields.text_of("key", 255);
    let tenant = fields.text_of("tenant", 63);
    let sequence = fields.text_of("sequence", KEY_MAX);
    fields.finish()?;
    let args = args.unwrap_or_default();
    job.args = args.to_string();
    Ok(Asked { at: at.to_owned(), args, tenant, key, sequence, job })
}

impl Asked {
    /// The job to be made, if this caller may make it and its kind understands the args.
    pub async fn allowed(self, api: &Api, caller: &Caller) -> Result<NewJob, Problem> {
        let Asked { at, args, tenant, key, sequence, mut job } = self;
        let Some(entry) = api.registry().get(&job.kind) else {
            return Err(Problem::invalid_at("unknown_kind", &format!("{at}/kind"), "is not a kind of job"));
        };
        if !is_open(&entry.policy, caller.is_global()) {
            let detail = format!("jobs of kind {} cannot be made with this credential", job.kind);
            return Err(Problem::forbidden("kind_not_open", detail));
        }
        if entry.policy.encrypt && api.queue().seal().ring().is_empty() {
            return Err(no_key(entry.kind));
        }
        if job.args.len() > api.settings().args_max {
            let errors = vec![FieldError::new(format!("{at}/args"), format!("may have at most {} bytes", api.settings().args_max))];
            return Err(Problem::invalid("args_too_large", errors).with_status(StatusCode::PAYLOAD_TOO_LARGE));
        }
        entry.check(&args).map_err(|why| undecodable(&at, &why, entry))?;
        if let Some(field) = entry.unique.and_then(|unique| unique.missing(&args)) {
            return Err(Problem::invalid_at(
                "invalid_args",
                &format!("{at}/args{field}"),
                "is missing, and jobs of this kind are unique by it",
            ));
        }
        entry
            .fill(&mut job, &args)
            .map_err(|fault| Problem::invalid_at("invalid_args", &format!("{at}/args{}", fault.pointer), fault.why))?;
        job.sequence = entry.sequence_of(sequence, &args).map_err(|(field, why)| out_of_sequence(&at, &field, why))?;
        if job.deadline.is_some_and(|deadline| deadline <= job.run_at.unwrap_or(api.clock().now())) {
            return Err(Problem::invalid_at("invalid_input", &format!("{at}/deadline"), "must lie after run_at and now"));
        }
        job.tenant = caller.tenant_id(api, tenant.as_deref()).await?.unwrap_or_default();
        if job.queue.is_empty() {
            job.queue = entry.queue.to_owned();
        }
        job.kind = entry.kind.to_owned();
        job.family = entry.family().to_owned();
        job.version = entry.version;
        job.unique = entry.unique;
        job.max_attempts = Some(job.max_attempts.unwrap_or(entry.policy.max_attempts));
        job.key = key;
        job.trace = caller.context.trace.clone();
        Ok(job)
    }
}

/// A field that says which sequence a job is in, and cannot.
fn out_of_sequence(at: &str, field: &str, why: &str) -> Problem {
    let code = if field == "/sequence" { "invalid_input" } else { "invalid_args" };
    Problem::invalid_at(code, &format!("{at}{field}"), why)
}

/// Nothing is stored plain for want of a key.
pub fn no_key(kind: &str) -> Problem {
    let detail = format!("jobs of kind {kind} are stored encrypted, and this server lacks the key: see secrets.args_keys_file");
    Problem::unavailable(NO_KEY, &detail, 60)
}

/// The decoder names a field in backquotes where it can; its place goes into the pointer.
fn undecodable<P>(at: &str, why: &str, entry: &Entry<P>) -> Problem {
    let words: &[&str] = match entry.policy.encrypt {
        // every other word may be out of the args themselves
        true => &["missing field `"],
        false => &["missing field `", "unknown field `", "duplicate field `"],
    };
    let field = words.iter().find_map(|start| why.strip_prefix(start)).and_then(|rest| rest.split('`').next()).unwrap_or_default();
    let told = if entry.policy.encrypt && field.is_empty() { entry.told(why.to_owned()) } else { why.to_owned() };
    Problem::invalid_at("invalid_args", &pointer(at, field), told.chars().take(300).collect::<String>())
}

fn pointer(at: &str, field: &str) -> String {
    if field.is_empty() { format!("{at}/args") } else { format!("{at}/args/{}", field.replace('~', "~0").replace('/', "~1")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_wrong_with_a_job_is_named() {
        let bad = json!({"kind": "email", "args": {}, "priority": 10, "run_at": "soon", "queue": "Mail!", "retries": 3});
        let problem = read(bad, "/jobs/7").err().unwrap();
        let pointers: Vec<&str> = problem.errors.iter().map(|e| e.pointer.as_str()).collect();
        assert_eq!(pointers, ["/jobs/7/priority", "/jobs/7/run_at", "/jobs/7/queue", "/jobs/7/retries"]);
        let empty = read(json!({}), "").err().unwrap();
        assert_eq!(empty.errors.iter().map(|e| e.pointer.as_str()).collect::<Vec<_>>(), ["/args", "/kind"]);
    }

    #[test]
    fn a_field_the_decoder_names_is_the_pointer() {
        let entry = clawr_kinds::registry().get("settlement").cloned().unwrap();
        let place = |why| undecodable("", why, &entry).errors[0].pointer.clone();
        assert_eq!(place("missing field `to`"), "/args/to");
        assert_eq!(place("unknown field `a/b`, expected `to`"), "/args/a~1b");
        assert_eq!(place("invalid type: string \"x\", expected u64"), "/args");
    }
}
