//! Members and their roles.

use serde_json::json;
use snapvm_tests::chance::{cases, word};
use snapvm_tests::{Org, Person, rows, world};

const ROLES: [&str; 4] = ["viewer", "member", "admin", "owner"];

fn rank(role: &str) -> usize {
    ROLES.iter().position(|other| *other == role).expect("a role")
}

fn path(org: &Org, person: &Person) -> String {
    org.path(&format!("/members/{}", person.account))
}

#[tokio::test]
async fn only_somebody_with_an_account_can_be_added_and_only_once() {
    let (org, person) = (world().org().await, world().sign_up().await);
    let add =
        |email: &str, role: &str| org.owner.client.post(org.path("/members"), json!({"email": email, "role": role}));
    let refused = add(&format!("{}@example.com", word()), "viewer").await;
    assert_eq!(refused.problem(422, "no_account")["field"], "email");
    add("nobody", "viewer").await.invalid("email");
    add(&person.email, "king").await.invalid("role");
    add(&person.email.to_uppercase(), "viewer").await.expect(201);
    add(&person.email, "admin").await.problem(409, "already_member");
    assert_eq!(person.client.get(org.path("")).await.expect(200)["role"], "viewer");
}

/// Every role tries to give every role to a newcomer.
#[tokio::test]
async fn nobody_gives_a_role_above_their_own() {
    let org = world().org().await;
    for role in ROLES {
        let adder = org.member(world(), role).await;
        for given in ROLES {
            let newcomer = world().sign_up().await;
            let answer = adder.client.post(org.path("/members"), json!({"email": newcomer.email, "role": given})).await;
            if rank(role) >= rank("admin") && rank(given) <= rank(role) {
                assert_eq!(answer.expect(201)["role"], given);
            } else {
                answer.problem(403, "role");
                newcomer.client.get(org.path("")).await.problem(404, "not_found");
            }
        }
    }
}

/// Every role tries to move somebody of every role to every role.
#[tokio::test]
async fn nobody_changes_somebody_above_or_moves_them_above() {
    let org = world().org().await;
    let target = org.member(world(), "viewer").await;
    let superuser = world().superuser().await;
    let org_id = rows::org_id(&superuser, &org.slug).await;
    for role in ROLES {
        let changer = org.member(world(), role).await;
        for from in ROLES {
            for to in ROLES {
                rows::run(
                    &superuser,
                    "update app.membership set role = $3 where org_id = $1::text::uuid and account_id = $2::text::uuid",
                    &[&org_id, &target.account, from],
                )
                .await;
                let answer = changer.client.patch(path(&org, &target), json!({"role": to})).await;
                if rank(role) >= rank("admin") && rank(from) <= rank(role) && rank(to) <= rank(role) {
                    assert_eq!(answer.expect(200)["role"], to, "{role}: {from} to {to}");
                } else {
                    answer.problem(403, "role");
                    assert_eq!(target.client.get(org.path("")).await.expect(200)["role"], from);
                }
            }
        }
    }
}

/// Every role tries to remove somebody of every role.
#[tokio::test]
async fn nobody_removes_somebody_above() {
    let org = world().org().await;
    for role in ROLES {
        let remover = org.member(world(), role).await;
        for of in ROLES {
            let target = org.member(world(), of).await;
            let answer = remover.client.delete(path(&org, &target)).await;
            if rank(role) >= rank("admin") && rank(of) <= rank(role) {
                answer.expect(204);
                target.client.get(org.path("")).await.problem(404, "not_found");
            } else {
                answer.problem(403, "role");
                target.client.get(org.path("")).await.expect(200);
            }
        }
    }
}

#[tokio::test]
async fn nobody_promotes_themselves() {
    let org = world().org().await;
    for role in ["viewer", "member", "admin"] {
        let person = org.member(world(), role).await;
        for to in ROLES.into_iter().filter(|to| rank(to) > rank(role)) {
            person.client.patch(path(&org, &person), json!({"role": to})).await.problem(403, "role");
        }
    }
}

#[tokio::test]
async fn leaving_is_everybodys_right() {
    let org = world().org().await;
    for role in ROLES {
        let person = org.member(world(), role).await;
        let (token, _) = person.token("write").await;
        token.get(org.path("")).await.expect(200);
        person.client.delete(path(&org, &person)).await.expect(204);
        token.get(org.path("")).await.problem(404, "not_found");
        person.client.get(org.path("/members")).await.problem(404, "not_found");
        person.client.delete(path(&org, &person)).await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_member_of_elsewhere_is_not_there() {
    let (org, elsewhere) = (world().org().await, world().org().await);
    for account in [elsewhere.owner.account.clone(), rows::new_id(), "no-id".to_owned(), "%00".to_owned()] {
        let path = org.path(&format!("/members/{account}"));
        org.owner.client.patch(&path, json!({"role": "viewer"})).await.problem(404, "not_found");
        org.owner.client.delete(&path).await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn an_organization_keeps_an_owner() {
    let org = world().org().await;
    let admin = org.member(world(), "admin").await;
    let own = path(&org, &org.owner);
    for role in ["viewer", "member", "admin"] {
        org.owner.client.patch(&own, json!({"role": role})).await.problem(409, "last_owner");
    }
    org.owner.client.patch(&own, json!({"role": "owner"})).await.expect(200);
    org.owner.client.delete(&own).await.problem(409, "last_owner");
    admin.client.delete(&own).await.problem(403, "role");

    org.owner.client.patch(path(&org, &admin), json!({"role": "owner"})).await.expect(200);
    org.owner.client.delete(&own).await.expect(204);
    org.owner.client.get(org.path("")).await.problem(404, "not_found");
    admin.client.delete(path(&org, &admin)).await.problem(409, "last_owner");
}

/// Two owners demote each other, or leave, at the same moment. `SNAPVM_OWNER_RACES` tries more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_who_demote_each_other_at_once_leave_one_owner() {
    let (first, second) = (world().sign_up().await, world().sign_up().await);
    let superuser = world().superuser().await;
    let races = cases("SNAPVM_OWNER_RACES", 60);
    for race in 0..races {
        let slug = format!("r{}", word());
        let made =
            "with made as (insert into app.org (id, slug, name) values (gen_random_uuid(), $1, 'Race') returning id)
            insert into app.membership (org_id, account_id, role)
            select made.id, who::uuid, 'owner' from made, unnest(array[$2, $3]) as who";
        rows::run(&superuser, made, &[&slug, &first.account, &second.account]).await;
        let org = Org { slug: slug.clone(), owner: first.clone() };
        let step = async |by: &Person, of: &Person, leave: bool| {
            if leave {
                by.client.delete(path(&org, by)).await.status
            } else {
                by.client.patch(path(&org, of), json!({"role": "viewer"})).await.status
            }
        };
        let statuses =
            futures::join!(step(&first, &second, race % 3 == 1), step(&second, &first, race % 3 == 2 || race % 6 == 1));
        let owners: i64 = rows::value(
            &superuser,
            "select count(*) from app.membership m join app.org o on o.id = m.org_id
             where o.slug = $1 and m.role = 'owner'",
            &[&slug],
        )
        .await;
        assert_eq!(owners, 1, "race {race}: {statuses:?}");
        // Whoever came second is told by a refusal: too late (403, 404), or no owner would be left (409). Somebody who
        // was demoted may still leave, so both can succeed.
        let both = [statuses.0, statuses.1];
        assert!(both.iter().any(|status| *status < 300), "race {race}: {statuses:?}");
        assert!(both.iter().all(|status| matches!(status, 200 | 204 | 403 | 404 | 409)), "race {race}: {statuses:?}");
    }
}

/// Open connections and leases are dead as soon as access changes: that is what a machine's epoch says.
#[tokio::test]
async fn a_change_of_access_raises_the_epoch_of_every_machine() {
    let org = world().org().await;
    let (member, other) = (org.member(world(), "member").await, world().org().await);
    let superuser = world().superuser().await;
    let mine = rows::machine(&superuser, &org.slug, &org.owner.account, "mine").await;
    let theirs = rows::machine(&superuser, &other.slug, &other.owner.account, "theirs").await;
    let epoch = async |id: &str| -> i64 {
        rows::value(&superuser, "select epoch from app.machine where id = $1::text::uuid", &[id]).await
    };
    assert_eq!(epoch(&mine.id).await, 1);
    org.owner.client.patch(path(&org, &member), json!({"role": "viewer"})).await.expect(200);
    assert_eq!(epoch(&mine.id).await, 2);
    org.owner.client.patch(path(&org, &org.owner), json!({"role": "viewer"})).await.problem(409, "last_owner");
    assert_eq!(epoch(&mine.id).await, 2, "a refused change changes nothing");
    org.owner.client.delete(path(&org, &member)).await.expect(204);
    assert_eq!(epoch(&mine.id).await, 3);
    assert_eq!(epoch(&theirs.id).await, 1);
}
