//! Sign-up, and who am I.

use serde_json::json;
use snapvm_tests::world;

#[tokio::test]
async fn a_sign_up_is_signed_in_and_has_an_organization() {
    let person = world().sign_up().await;
    let account = person.client.get("/v1/account").await.expect(200);
    assert_eq!(account["email"], person.email.as_str());
    assert_eq!(account["orgs"], json!([{"slug": person.first_org, "name": account["name"], "role": "owner"}]));
}
