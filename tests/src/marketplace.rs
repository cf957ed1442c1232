//! The marketplace of the recorded reports on a test's store, without a server: its tenants, APIs and networks.

use crate::fixtures;
use clawr_domain::audit::Actor;
use clawr_domain::settlement::{Intake, JobPolicy, Network, Networks};
use clawr_domain::{apis, tenants};
use clawr_engine::db::Scope;
use clawr_engine::queue::Queue;
use serde_json::Value as Json;

/// Who reports and creates.
pub fn actor() -> Actor {
    Actor::new("key_test", "req_test")
}

/// Makes the recorded tenants and APIs, calling `before` ahead of every commit; the door for their reports.
pub async fn open(queue: &Queue, before: impl Fn()) -> Intake {
    let (given, clock) = (fixtures::x402_json("given.json"), queue.clock());
    for (slug, list) in given["tenants"].as_object().expect("tenants") {
        before();
        let new = tenants::New { slug: slug.clone(), ..Default::default() };
        let tenant = tenants::create(queue.db(), clock, &actor(), new).await.expect("a tenant").into_inner();
        for (api, resource_type) in list.as_object().expect("apis") {
            let resource_type = resource_type.as_str().expect("text").to_owned();
            let new = apis::New { slug: api.clone(), resource_type, price_micros: "1000".into(), quota: None };
            before();
            apis::create(queue.db(), clock, &Scope::System, &actor(), &tenant, new).await.expect("an API");
        }
    }
    let policy = JobPolicy { version: 1, max_attempts: 20 };
    Intake::new(queue.db().clone(), clock.clone(), networks(&given), policy)
}

fn networks(given: &Json) -> Networks {
    let texts = |list: &Json| list.as_array().expect("a list").iter().map(|t| t.as_str().expect("text").to_owned()).collect::<Vec<_>>();
    let network = |(id, net): (&String, &Json)| Network {
        id: id.clone(),
        v1_name: net["v1_name"].as_str().expect("v1_name").to_owned(),
        assets: texts(&net["assets"]),
        treasuries: texts(&given["treasuries"]),
    };
    Networks::new(given["networks"].as_object().expect("networks").iter().map(network).collect())
}
