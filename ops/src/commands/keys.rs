//! `keys`: credentials. `create` opens the store, because the first key cannot ask with a key; the rest use the API.

use super::rewrap::{self, RewrapArgs};
use super::tenants::time;
use crate::cli::Context;
use crate::client::{Client, Remote, segment};
use crate::compose::{House, operator};
use crate::exit::{Exit, Failure};
use crate::out::{confirm, say};
use crate::table::Table;
use anyhow::Context as _;
use clap::{ArgGroup, Args, Subcommand};
use clawr_domain::access::keys::Issuer;
use clawr_domain::access::{Issued, NewKey, Scopes};
use clawr_domain::tenants;
use clawr_engine::db::Scope;
use serde_json::{Value as Json, json};

const EXAMPLES: &str = "\
Examples:
  clawr keys create --global --scope read,write,admin,deploy
  clawr keys create --global --scope write --require-signature --json    for a dispatcher
  clawr keys create --tenant acme --scope read
  clawr keys rotate key_…
  clawr keys rewrap-args --dry-run         which keys the sealed args of jobs need";

/// Arguments of `keys`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Make one and show its secrets, this once; opens the store
    Create(CreateArgs),
    /// Every key, never its secret
    List {
        #[command(flatten)]
        remote: Remote,
    },
    /// Make a successor with the same reach; the old one ends after the overlap
    Rotate {
        #[command(flatten)]
        remote: Remote,
        /// key_…
        id: String,
        /// Hours both are good, up to 168
        #[arg(long, default_value_t = 24)]
        overlap_hours: i64,
    },
    /// Not of credentials: put the data keys of sealed args under the current key of secrets.args_keys_file; opens the store
    RewrapArgs(RewrapArgs),
    /// End one at once
    Revoke {
        #[command(flatten)]
        remote: Remote,
        /// key_…
        id: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
}

/// A key to be made.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("reach").required(true).args(["global", "tenant"]))]
struct CreateArgs {
    /// Reaches every tenant; lives 90 days at most
    #[arg(long)]
    global: bool,
    /// Reaches this tenant only
    #[arg(long, value_name = "SLUG")]
    tenant: Option<String>,
    /// What it may do: read, write, admin, deploy; none implies another
    #[arg(long = "scope", value_delimiter = ',', required = true, value_name = "SCOPE,…")]
    scopes: Vec<String>,
    /// Its settlement reports must be signed; makes a signing secret
    #[arg(long)]
    require_signature: bool,
    /// Make a signing secret although none is required
    #[arg(long)]
    signing_secret: bool,
    /// When it ends, RFC 3339; never, if not given, and after 90 days for a global key
    #[arg(long, value_name = "TIME")]
    expires_at: Option<jiff::Timestamp>,
}

/// Runs it.
pub async fn run(args: KeysArgs, context: Context) -> anyhow::Result<Exit> {
    match args.command {
        KeysCommand::Create(new) => create(new, &context).await,
        KeysCommand::List { remote } => {
            let list = Client::new(&remote, &context)?.list("v1/keys", &[], usize::MAX).await?;
            context
                .out
                .show(&list, || Table::of_list(&list, ["id", "tenant", "scopes", "last4", "expires_at", "last_used_at", "revoked_at"]))?;
            Ok(Exit::Done)
        }
        KeysCommand::Rotate { remote, id, overlap_hours } => {
            let path = format!("v1/keys/{}/rotate", segment(&id)?);
            let issued = Client::new(&remote, &context)?.post(&path, &json!({ "overlap_hours": overlap_hours })).await.context(id)?;
            say("this is the only time the secrets are shown");
            show(&issued, &context)
        }
        KeysCommand::RewrapArgs(args) => rewrap::run(args, &context).await,
        KeysCommand::Revoke { id, dry_run: true, .. } => {
            say(&format!("would revoke {}; whatever uses it gets 401 within 5 s", segment(&id)?));
            context.out.text("", &json!({ "id": id, "revoked": false }))?;
            Ok(Exit::Done)
        }
        KeysCommand::Revoke { remote, id, yes, .. } => {
            let path = format!("v1/keys/{}", segment(&id)?);
            confirm(yes, &format!("Revoke {id}? Whatever uses it is locked out within 5 s."))?;
            Client::new(&remote, &context)?.delete(&path).await.with_context(|| id.clone())?;
            say(&format!("revoked {id}"));
            context.out.text("", &json!({ "id": id, "revoked": true }))?;
            Ok(Exit::Done)
        }
    }
}

async fn create(args: CreateArgs, context: &Context) -> anyhow::Result<Exit> {
    let scopes = Scopes::parse(args.scopes.iter().map(|s| s.trim()))?;
    let house = House::open(&context.config()?).await?;
    let tenant = match &args.tenant {
        Some(slug) => Some(tenants::get(&house.db, &Scope::System, slug).await.map_err(|e| named(e, slug))?),
        None => None,
    };
    let new = NewKey {
        scopes,
        tenant_id: tenant.map(|t| t.id).unwrap_or_default(),
        require_signature: args.require_signature,
        signing_secret: args.signing_secret,
        expires_at: args.expires_at.map(|at| at.as_microsecond()),
        ..NewKey::default()
    };
    let issued = issue(&house, new).await?;
    house.db.close().await;
    say("this is the only time the secrets are shown");
    show(&object(&issued, args.tenant.as_deref()), context)
}

fn named(problem: clawr_domain::Problem, slug: &str) -> anyhow::Error {
    anyhow::Error::from(problem).context(format!("tenant {slug}"))
}

/// Issues a key in the operator's name.
pub async fn issue(house: &House, new: NewKey) -> Result<Issued, clawr_domain::Problem> {
    let actor = operator();
    let issuer = Issuer { db: &house.db, clock: &house.clock, pepper: &house.pepper, scope: &Scope::System, actor: &actor };
    issuer.create(new).await
}

/// What `POST /v1/keys` answers.
fn object(issued: &Issued, tenant: Option<&str>) -> Json {
    let key = &issued.key;
    json!({
        "id": key.id,
        "secret": issued.secret,
        "signing_secret": issued.signing_secret,
        "kid": key.kid,
        "last4": key.last4,
        "scopes": key.scopes,
        "tenant": tenant,
        "user_id": some(&key.user_id),
        "require_signature": key.require_signature,
        "created_by": some(&key.created_by),
        "replaces": some(&key.replaces),
        "created_at": time(key.created_at),
        "expires_at": if key.expires_at == 0 { Json::Null } else { time(key.expires_at) },
        "last_used_at": null,
        "revoked_at": null,
    })
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn show(issued: &Json, context: &Context) -> anyhow::Result<Exit> {
    if issued["secret"].is_null() {
        return Err(Failure::new(Exit::Conflict, "the answer holds no secret: it was given before").into());
    }
    context.out.show(issued, || Table::of_object(issued))?;
    Ok(Exit::Done)
}
