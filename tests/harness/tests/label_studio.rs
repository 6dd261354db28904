//! The harness starts the real open-source Label Studio and leaves nothing behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use label_studio_harness::OpenSourceLabelStudio;
use std::time::Instant;

#[tokio::test]
async fn the_owner_is_known_by_both_kinds_of_token() {
    let start = Instant::now();
    let server = OpenSourceLabelStudio::start().await.unwrap();
    println!("ready in {:.1} s", start.elapsed().as_secs_f64());
    assert_eq!(server.whoami().await.unwrap()["email"], OpenSourceLabelStudio::OWNER);
    let token = server.personal_access_token().await.unwrap();
    assert_eq!(token.split('.').count(), 3, "a personal access token has three parts");

    server.sign_up("anna@example.com").await.unwrap();
    let members = server.request(reqwest::Method::GET, "/api/organizations/1/memberships", None).await.unwrap();
    assert_eq!(members["count"], 2);
}
