//! `apis`: what tenants sell. `create` opens the store, `list` asks the API.

use super::tenants::time;
use crate::cli::Context;
use crate::client::{Client, Remote, segment};
use crate::compose::{House, operator};
use crate::exit::Exit;
use crate::out::say;
use crate::table::Table;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use clawr_domain::apis::{self, Api, New};
use clawr_domain::tenants;
use clawr_engine::db::Scope;
use serde_json::{Value as Json, json};

/// Arguments of `apis`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  clawr apis create acme weather --type function --price-micros 2500\n  clawr apis list")]
pub struct ApisArgs {
    #[command(subcommand)]
    command: ApisCommand,
}

#[derive(Debug, Subcommand)]
enum ApisCommand {
    /// Make one; the same slug and content is the same API. Opens the store
    Create {
        /// Whose: a tenant's slug
        tenant: String,
        /// Lower-case letters, digits and hyphens
        slug: String,
        /// function, dataset or proxy
        #[arg(long = "type", value_name = "TYPE")]
        resource_type: String,
        /// Price of a call in micro-USDC: 250000 is 0.25 USDC
        #[arg(long)]
        price_micros: String,
        /// Calls per UTC day
        #[arg(long)]
        quota: Option<i64>,
    },
    /// Every API, or those of one tenant
    List {
        #[command(flatten)]
        remote: Remote,
        /// A tenant's slug
        #[arg(long)]
        tenant: Option<String>,
    },
}

/// Runs it.
pub async fn run(args: ApisArgs, context: Context) -> anyhow::Result<Exit> {
    match args.command {
        ApisCommand::Create { tenant, slug, resource_type, price_micros, quota } => {
            let new = New { slug, resource_type, price_micros, quota };
            create(&tenant, new, &context).await
        }
        ApisCommand::List { remote, tenant } => {
            let client = Client::new(&remote, &context)?;
            let query: Vec<(&str, &str)> = match &tenant {
                Some(slug) => vec![("tenant", segment(slug)?)],
                None => Vec::new(),
            };
            let list = client.list("v1/apis", &query, usize::MAX).await?;
            context.out.show(&list, || Table::of_list(&list, ["tenant", "slug", "resource_type", "price_micros", "quota", "id"]))?;
            Ok(Exit::Done)
        }
    }
}

async fn create(tenant: &str, new: New, context: &Context) -> anyhow::Result<Exit> {
    let house = House::open(&context.config()?).await?;
    let owner = tenants::get(&house.db, &Scope::System, tenant).await.with_context(|| format!("tenant {tenant}"))?;
    let created = apis::create(&house.db, &house.clock, &Scope::System, &operator(), &owner, new).await?;
    house.db.close().await;
    if !created.is_new() {
        say("it was there already");
    }
    let value = object(&created.into_inner(), tenant);
    context.out.show(&value, || Table::of_object(&value))?;
    Ok(Exit::Done)
}

fn object(api: &Api, tenant: &str) -> Json {
    json!({
        "id": api.id,
        "tenant": tenant,
        "slug": api.slug,
        "resource_type": api.resource_type,
        "price_micros": api.price,
        "quota": api.quota,
        "created_at": time(api.created_at),
        "updated_at": time(api.updated_at),
    })
}
