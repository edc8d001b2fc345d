//! What happened to machines, of a whole organization.

use serde_json::{Value, json};
use snapvm_tests::{Client, Org, rows, world};

async fn ids(client: &Client, path: &str) -> Vec<String> {
    let page = client.get(path).await.expect(200);
    page["events"].as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

async fn stage() -> (Org, Vec<String>) {
    let (org, superuser) = (world().org().await, world().superuser().await);
    // Nothing happens to these but what is written here.
    for name in ["one", "two"] {
        rows::machine(&superuser, &org.slug, &org.owner.account, name).await;
    }
    // Ids of the same millisecond are in no order.
    let mut written: Vec<String> = std::iter::repeat_with(rows::new_id).take(5).collect();
    written.sort();
    for (number, id) in written.iter().enumerate() {
        let name = ["one", "two"][number % 2];
        let insert = "insert into app.machine_event (org_id, machine_id, id, kind, detail, cause)
            select m.org_id, m.id, $3::text::uuid, $4, 'Just so.', 'idle' from app.machine m join app.org o on o.id = m.org_id
            where o.slug = $1 and m.name = $2";
        let kind = if number == 3 { "rare" } else { "common" };
        assert_eq!(rows::run(&superuser, insert, &[&org.slug, name, id, kind]).await, 1);
    }
    written.reverse();
    (org, written)
}

#[tokio::test]
async fn they_are_read_page_by_page_of_all_machines_or_one_or_a_kind() {
    let (org, written) = stage().await;
    let viewer = org.member(world(), "viewer").await.client;
    let path = org.path("/events");
    let all = ids(&viewer, &path).await;
    // Beside the two machines' own, which may be of the same millisecond.
    let ours: Vec<&String> = all.iter().filter(|id| written.contains(*id)).collect();
    assert_eq!((all.len(), ours), (7, written.iter().collect()));
    assert!(all.is_sorted_by(|a, b| a > b), "{all:?}");

    let (mut read, mut before) = (Vec::new(), String::new());
    loop {
        let page = viewer.get(format!("{path}?limit=2{before}")).await.expect(200);
        let events = page["events"].as_array().unwrap();
        assert!(events.len() <= 2);
        read.extend(events.iter().map(|event| event["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        before = format!("&before={next}");
    }
    assert_eq!(read, all);

    let rare = viewer.get(format!("{path}?kind=rare")).await.expect(200);
    let event = &rare["events"][0];
    assert_eq!((rare["events"].as_array().unwrap().len(), &event["id"]), (1, &json!(written[1])));
    assert_eq!(
        (&event["machine"]["name"], &event["cause"], &event["actor"]),
        (&json!("two"), &json!("idle"), &Value::Null)
    );
    assert_eq!(ids(&viewer, &format!("{path}?machine=two&kind=rare")).await, [written[1].clone()]);
    assert_eq!(ids(&viewer, &format!("{path}?machine=one&kind=rare")).await, Vec::<String>::new());
    let of_two = ids(&viewer, &format!("{path}?machine=two&kind=common&limit=50")).await;
    assert_eq!(of_two, [written[3].clone()]);
    assert_eq!(ids(&viewer, &org.path("/machines/two/events?kind=common")).await, of_two);

    for (query, field) in [("limit=0", "limit"), ("before=x", "before"), ("machine=none", "machine"), ("kind=", "kind")]
    {
        viewer.get(format!("{path}?{query}")).await.invalid(field);
    }
}
