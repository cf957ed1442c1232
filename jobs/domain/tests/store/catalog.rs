use crate::support::empty;
use clawr_domain::{Page, Problem, apis, tenants};
use clawr_engine::db::Scope;
use serde_json::json;

fn tenant(slug: &str) -> tenants::New {
    tenants::New { slug: slug.into(), ..Default::default() }
}

fn api(slug: &str, price: &str) -> apis::New {
    apis::New { slug: slug.into(), resource_type: "function".into(), price_micros: price.into(), quota: None }
}

fn pointers(problem: Problem) -> Vec<String> {
    match problem {
        Problem::Invalid { errors, .. } => errors.into_iter().map(|e| e.pointer).collect(),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_tenant_is_made_once_and_other_content_is_a_conflict() {
    let w = empty().await;
    let first = tenants::create(&w.db, &w.clock, &w.actor, tenant("acme")).await.unwrap();
    assert!(first.is_new());
    let again = tenants::create(&w.db, &w.clock, &w.actor, tenant("acme")).await.unwrap();
    assert!(!again.is_new());
    assert_eq!(first.into_inner().id, again.into_inner().id);
    let other = tenants::New { name: Some("Acme Inc".into()), ..tenant("acme") };
    let refused = tenants::create(&w.db, &w.clock, &w.actor, other).await.unwrap_err();
    assert!(matches!(refused, Problem::Conflict { reason: "tenant_differs", .. }));
}

#[tokio::test]
async fn concurrent_creates_of_one_slug_make_one_tenant() {
    let w = empty().await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (db, clock, actor) = (w.db.clone(), w.clock.clone(), w.actor.clone());
        tasks.spawn(async move { tenants::create(&db, &clock, &actor, tenant("acme")).await.unwrap() });
    }
    let all = tasks.join_all().await;
    assert_eq!(all.iter().filter(|t| t.is_new()).count(), 1);
    let listed = tenants::list(&w.db, &Scope::System, &Page::default()).await.unwrap();
    assert_eq!(listed.items.len(), 1);
}

#[tokio::test]
async fn bad_tenants_and_apis_are_told_every_place() {
    let w = empty().await;
    let bad = tenants::New { slug: "Acme!".into(), name: Some("a\nb".into()), config: Some(json!([])), owner_id: None };
    assert_eq!(pointers(tenants::create(&w.db, &w.clock, &w.actor, bad).await.unwrap_err()), ["/slug", "/name", "/config"]);
    let big = tenants::New { config: Some(json!({"x": "y".repeat(17_000)})), ..tenant("acme") };
    assert_eq!(pointers(tenants::create(&w.db, &w.clock, &w.actor, big).await.unwrap_err()), ["/config"]);
    let acme = tenants::create(&w.db, &w.clock, &w.actor, tenant("acme")).await.unwrap().into_inner();
    let bad = apis::New { slug: String::new(), resource_type: "shop".into(), price_micros: "1.5".into(), quota: Some(0) };
    let refused = apis::create(&w.db, &w.clock, &Scope::System, &w.actor, &acme, bad).await.unwrap_err();
    assert_eq!(pointers(refused), ["/slug", "/resource_type", "/price_micros", "/quota"]);
}

#[tokio::test]
async fn apis_belong_to_their_tenant() {
    let w = empty().await;
    let acme = tenants::create(&w.db, &w.clock, &w.actor, tenant("acme")).await.unwrap().into_inner();
    let other = tenants::create(&w.db, &w.clock, &w.actor, tenant("other")).await.unwrap().into_inner();
    let (own, foreign) = (Scope::Tenant(acme.id.clone()), Scope::Tenant(other.id.clone()));
    assert!(apis::create(&w.db, &w.clock, &own, &w.actor, &acme, api("weather", "1000")).await.unwrap().is_new());
    assert!(!apis::create(&w.db, &w.clock, &own, &w.actor, &acme, api("weather", "1000")).await.unwrap().is_new());
    let refused = apis::create(&w.db, &w.clock, &own, &w.actor, &acme, api("weather", "1001")).await.unwrap_err();
    assert!(matches!(refused, Problem::Conflict { reason: "api_differs", .. }));
    assert!(apis::create(&w.db, &w.clock, &foreign, &w.actor, &other, api("weather", "5")).await.unwrap().is_new());
    assert_eq!(apis::get(&w.db, &own, "acme", "weather").await.unwrap().price.get(), 1000);
    assert_eq!(apis::get(&w.db, &foreign, "acme", "weather").await.unwrap_err(), Problem::NotFound("API"));
    assert_eq!(tenants::get(&w.db, &foreign, "acme").await.unwrap_err(), Problem::NotFound("tenant"));
    assert_eq!(apis::list(&w.db, &own, &Page::default()).await.unwrap().items.len(), 1);
    assert_eq!(apis::list(&w.db, &Scope::System, &Page::default()).await.unwrap().items.len(), 2);
}
