//! `tenants`: `create` opens the store, `list` asks the API.

use crate::cli::Context;
use crate::client::{Client, Remote};
use crate::compose::{House, operator};
use crate::exit::{Exit, Failure};
use crate::out::say;
use crate::table::Table;
use clap::{Args, Subcommand};
use clawr_domain::tenants::{self, New, Tenant};
use jiff::fmt::temporal::DateTimePrinter;
use serde_json::{Value as Json, json};

/// Arguments of `tenants`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  clawr tenants create acme --name 'Acme Weather'\n  clawr tenants list")]
pub struct TenantsArgs {
    #[command(subcommand)]
    command: TenantsCommand,
}

#[derive(Debug, Subcommand)]
enum TenantsCommand {
    /// Make one; the same slug and content is the same tenant. Opens the store
    Create {
        /// Lower-case letters, digits and hyphens
        slug: String,
        /// For people; the slug if not given
        #[arg(long)]
        name: Option<String>,
        /// A user's id
        #[arg(long)]
        owner_id: Option<String>,
        /// Its configuration, a JSON object
        #[arg(long, value_name = "JSON")]
        settings: Option<String>,
    },
    /// Every tenant
    List {
        #[command(flatten)]
        remote: Remote,
    },
}

/// Runs it.
pub async fn run(args: TenantsArgs, context: Context) -> anyhow::Result<Exit> {
    match args.command {
        TenantsCommand::Create { slug, name, owner_id, settings } => {
            let config = settings.as_deref().map(serde_json::from_str).transpose();
            let config = config.map_err(|e| Failure::new(Exit::Usage, format!("--settings is not JSON: {e}")))?;
            create(New { slug, name, owner_id, config }, &context).await
        }
        TenantsCommand::List { remote } => {
            let list = Client::new(&remote, &context)?.list("v1/tenants", &[], usize::MAX).await?;
            context.out.show(&list, || Table::of_list(&list, ["slug", "name", "id", "created_at"]))?;
            Ok(Exit::Done)
        }
    }
}

async fn create(new: New, context: &Context) -> anyhow::Result<Exit> {
    let house = House::open(&context.config()?).await?;
    let created = tenants::create(&house.db, &house.clock, &operator(), new).await?;
    house.db.close().await;
    if !created.is_new() {
        say("it was there already");
    }
    let value = object(&created.into_inner());
    context.out.show(&value, || Table::of_object(&value))?;
    Ok(Exit::Done)
}

fn object(tenant: &Tenant) -> Json {
    json!({
        "id": tenant.id,
        "slug": tenant.slug,
        "name": tenant.name,
        "owner_id": if tenant.owner_id.is_empty() { Json::Null } else { tenant.owner_id.as_str().into() },
        "config": tenant.config,
        "created_at": time(tenant.created_at),
        "updated_at": time(tenant.updated_at),
    })
}

/// Microseconds since 1970 UTC as RFC 3339, with the digits the API writes.
pub fn time(micros: i64) -> Json {
    static PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(6));
    let at = jiff::Timestamp::from_microsecond(micros);
    at.map(|at| PRINTER.timestamp_to_string(&at).into()).unwrap_or(Json::Null)
}
