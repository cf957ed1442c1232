use crate::support::{World, at};
use clawr_domain::access::keys::{self, Issuer};
use clawr_domain::access::{Denied, Issued, NewKey, Pepper, Permission, Scopes, Verifier, webhook};
use clawr_domain::{Page, Problem, tenants};
use clawr_engine::clock::Clock;
use clawr_engine::db::Scope;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn pepper() -> Pepper {
    Pepper::new(vec![7; 32]).unwrap()
}

async fn world() -> World {
    at(Clock::stepped(1_790_000_000_000_000)).await
}

async fn issue(w: &World, new: NewKey) -> Result<Issued, Problem> {
    let (pepper, scope) = (pepper(), Scope::System);
    Issuer { db: &w.db, clock: &w.clock, pepper: &pepper, scope: &scope, actor: &w.actor }.create(new).await
}

fn write_key() -> NewKey {
    NewKey { scopes: Scopes::parse(["write"]).unwrap(), ..Default::default() }
}

/// A verifier that has not seen anything yet, as another process would.
fn verifier(w: &World) -> Verifier {
    Verifier::new(w.db.clone(), w.clock.clone(), pepper())
}

#[tokio::test]
async fn a_key_opens_what_it_names_and_nothing_else() {
    let w = world().await;
    let issued = issue(&w, NewKey { require_signature: true, ..write_key() }).await.unwrap();
    let credential = verifier(&w).verify(&issued.secret).await.unwrap();
    assert!(credential.scopes.allows(Permission::Write) && !credential.scopes.allows(Permission::Read));
    assert_eq!((credential.scope(), credential.require_signature), (Scope::System, true));
    let secret = credential.signing_secret.unwrap();
    assert_eq!(Some(&secret), issued.signing_secret.as_ref());
    assert!(webhook::sign(&secret, "evt_1", 1, b"{}").is_some());
    let other = Verifier::new(w.db.clone(), w.clock.clone(), Pepper::new(vec![8; 32]).unwrap());
    assert_eq!(other.verify(&issued.secret).await.unwrap_err(), Denied::Unknown);
    assert_eq!(verifier(&w).verify("clawr_live_x").await.unwrap_err(), Denied::Malformed);
}

#[tokio::test]
async fn a_key_nobody_issued_here_is_unknown() {
    let (w, elsewhere) = (world().await, world().await);
    let issued = issue(&elsewhere, write_key()).await.unwrap();
    assert_eq!(verifier(&w).verify(&issued.secret).await.unwrap_err(), Denied::Unknown);
}

#[tokio::test]
async fn global_keys_end_within_ninety_days() {
    let w = world().await;
    let issued = issue(&w, write_key()).await.unwrap();
    let far = w.clock.now() + 91 * 86_400_000_000;
    assert!(issue(&w, NewKey { expires_at: Some(far), ..write_key() }).await.is_err());
    assert!(issue(&w, NewKey { expires_at: Some(w.clock.now()), ..write_key() }).await.is_err());
    let verifier = verifier(&w);
    assert!(verifier.verify(&issued.secret).await.is_ok());
    w.clock.step(HOUR * 24 * 90);
    assert_eq!(verifier.verify(&issued.secret).await.unwrap_err(), Denied::Expired(issued.key.id));
}

#[tokio::test]
async fn a_revoked_key_opens_nothing() {
    let w = world().await;
    let issued = issue(&w, write_key()).await.unwrap();
    let (pepper, scope) = (pepper(), Scope::System);
    let issuer = Issuer { db: &w.db, clock: &w.clock, pepper: &pepper, scope: &scope, actor: &w.actor };
    issuer.revoke(&issued.key.id).await.unwrap();
    issuer.revoke(&issued.key.id).await.unwrap();
    assert_eq!(verifier(&w).verify(&issued.secret).await.unwrap_err(), Denied::Revoked(issued.key.id.clone()));
    assert!(matches!(issuer.rotate(&issued.key.id, None).await, Err(Problem::Conflict { reason: "key_ended", .. })));
    assert!(matches!(issuer.revoke("key_none").await, Err(Problem::NotFound("key"))));
}

#[tokio::test]
async fn rotation_leaves_both_keys_good_for_a_day() {
    let w = world().await;
    let old = issue(&w, NewKey { signing_secret: true, ..write_key() }).await.unwrap();
    let (pepper, scope) = (pepper(), Scope::System);
    let issuer = Issuer { db: &w.db, clock: &w.clock, pepper: &pepper, scope: &scope, actor: &w.actor };
    w.clock.step(HOUR);
    let new = issuer.rotate(&old.key.id, None).await.unwrap();
    assert_eq!((&new.key.replaces, &new.key.scopes), (&old.key.id, &old.key.scopes));
    assert!(new.signing_secret.is_some() && new.signing_secret != old.signing_secret);
    for secret in [&old.secret, &new.secret] {
        assert!(verifier(&w).verify(secret).await.is_ok());
    }
    w.clock.step(HOUR * 24);
    assert_eq!(verifier(&w).verify(&old.secret).await.unwrap_err(), Denied::Expired(old.key.id));
    assert!(verifier(&w).verify(&new.secret).await.is_ok());
}

#[tokio::test]
async fn a_tenants_keys_are_its_own() {
    let w = world().await;
    let new = tenants::New { slug: "acme".into(), ..Default::default() };
    let acme = tenants::create(&w.db, &w.clock, &w.actor, new).await.unwrap().into_inner();
    let issued = issue(&w, NewKey { tenant_id: acme.id.clone(), ..write_key() }).await.unwrap();
    let global = issue(&w, write_key()).await.unwrap();
    let credential = verifier(&w).verify(&issued.secret).await.unwrap();
    assert_eq!((credential.scope(), credential.tenant.as_str()), (Scope::Tenant(acme.id.clone()), "acme"));
    let (pepper, scope) = (pepper(), Scope::Tenant(acme.id.clone()));
    let issuer = Issuer { db: &w.db, clock: &w.clock, pepper: &pepper, scope: &scope, actor: &w.actor };
    assert_eq!(issuer.create(write_key()).await.err(), Some(Problem::NotFound("tenant")));
    assert_eq!(issuer.revoke(&global.key.id).await.err(), Some(Problem::NotFound("key")));
    let own = keys::list(&w.db, &scope, &Page::default()).await.unwrap();
    assert_eq!(own.items.iter().map(|k| &k.id).collect::<Vec<_>>(), [&issued.key.id]);
}

#[tokio::test]
async fn use_is_noted() {
    let w = world().await;
    let issued = issue(&w, write_key()).await.unwrap();
    let verifier = verifier(&w);
    verifier.verify(&issued.secret).await.unwrap();
    verifier.write_used().await;
    let key = keys::get(&w.db, &Scope::System, &issued.key.id).await.unwrap();
    assert_eq!(key.last_used_at, w.clock.now());
}
