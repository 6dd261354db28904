//! A server whose certificate comes from a private authority: trusted where the Organization names it, from a ConfigMap or a
//! Secret, and refused with a clear word where it does not, or where the certificate has ended or is another host's.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

mod stage;

use label_studio_harness::{Authority, TlsFront};
use label_studio_simulator::Options;
use serde_json::{Value, json};
use stage::{Stage, condition};

async fn refused(stage: &Stage, url: &str, tls: &Value) -> String {
    stage.apply(&stage.organization(json!({"url": url, "tls": tls}))).await;
    let organization = stage.ready("organization/acme", "False", "TlsFailed").await;
    condition(&organization, "Ready")["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_private_authority_is_trusted_where_it_is_named_and_nothing_else_is() {
    let mut stage = Stage::set(Options::default()).await;
    let behind = stage.simulator.address();
    let authority = Authority::new().unwrap();
    let front = TlsFront::start(behind, authority.identity("localhost").unwrap()).await.unwrap();
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ca"}, "data": {"ca.crt": authority.pem()}
    });
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ca"}, "stringData": {"root": authority.pem()}
    });
    stage.apply(&json!({"apiVersion": "v1", "kind": "List", "items": [map, secret]})).await;
    stage.start_operator();
    stage.secret(&stage.simulator.legacy_token()).await;

    for ca in [json!({"configMapName": "ca"}), json!({"secretName": "ca", "key": "root"})] {
        stage.apply(&stage.organization(json!({"url": front.url(), "tls": {"caBundle": ca}}))).await;
        let organization = stage.ready("organization/acme", "True", "Reconciled").await;
        assert_eq!(condition(&organization, "Authenticated")["message"], "the server accepts the token");
    }
    let trusting = json!({"caBundle": {"configMapName": "ca"}});
    let mut plain = stage.organization(json!({"url": front.url()}));
    plain["spec"]["tls"] = Value::Null;
    stage.apply(&plain).await;
    let organization = stage.ready("organization/acme", "False", "TlsFailed").await;
    let message = condition(&organization, "Ready")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("UnknownIssuer") && message.contains("spec.tls.caBundle"), "{message}");

    let expired = TlsFront::start(behind, authority.expired_identity("localhost").unwrap()).await.unwrap();
    let message = refused(&stage, &expired.url(), &trusting).await;
    assert!(message.to_lowercase().contains("expired"), "{message}");

    let elsewhere = TlsFront::start(behind, authority.identity("elsewhere.example.com").unwrap()).await.unwrap();
    let message = refused(&stage, &elsewhere.url(), &trusting).await;
    assert!(message.contains("not valid for name") && message.contains("localhost"), "{message}");

    let stranger = Authority::new().unwrap();
    let other = TlsFront::start(behind, stranger.identity("localhost").unwrap()).await.unwrap();
    let message = refused(&stage, &other.url(), &trusting).await;
    assert!(message.contains("invalid peer certificate"), "{message}");
}
