//! Random histories: whoever lists once and then watches ends up with what a list says at the end.

use std::collections::BTreeMap;

use super::*;

/// Numbers below a bound, the same for a seed (Knuth's linear congruential generator).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// One random write: creations, changes of labels, deletes through finalizers and owners.
fn write(api: &ApiServer, dice: &mut Dice) {
    let name = format!("o{}", dice.below(8));
    let app = ["web", "db"][dice.below(2) as usize];
    let shop = Some("shop");
    // Refusals (it exists already, it is not there) are part of the history.
    match dice.below(6) {
        0 | 1 => {
            let mut object = config(&name);
            object["metadata"]["labels"] = json!({"app": app});
            if dice.below(3) == 0 {
                object["metadata"]["finalizers"] = json!(["example.com/hold"]);
            }
            let owner = api.get("ConfigMap", shop, &format!("o{}", dice.below(8)));
            if let Some(owner) = owner.filter(|_| dice.below(2) == 0) {
                object["metadata"]["ownerReferences"] = json!([{"name": "x", "uid": owner["metadata"]["uid"]}]);
            }
            drop(api.create(object));
        }
        2 => drop(api.update("ConfigMap", shop, &name, |object| object["metadata"]["labels"]["app"] = json!(app))),
        3 => drop(api.update("ConfigMap", shop, &name, |object| object["metadata"]["finalizers"] = Value::Null)),
        _ => {
            let propagation = ["Background", "Foreground", "Orphan"][dice.below(3) as usize];
            let options = DeleteOptions { propagation: Some(propagation.into()), ..Default::default() };
            drop(api.delete("ConfigMap", shop, &name, &options));
        }
    }
}

type Seen = BTreeMap<String, Value>;

async fn list(client: &kube::Client, path: &str) -> (Seen, String) {
    let (_, list) = ask(client, "GET", path, JSON, &Value::Null).await;
    let mut seen = Seen::new();
    for item in list["items"].as_array().unwrap() {
        seen.insert(item["metadata"]["name"].as_str().unwrap().to_owned(), item["metadata"].clone());
    }
    (seen, list["metadata"]["resourceVersion"].as_str().unwrap().to_owned())
}

async fn check_history(seed: u64) {
    let (api, mut dice) = (server(), Dice(seed));
    let client = api.client("tester");
    let path = "/api/v1/configmaps?labelSelector=app%3Dweb";
    let mut followers = Vec::new();
    let mut snapshots = Vec::new();
    for round in 0..120 {
        write(&api, &mut dice);
        if round % 20 == 0 {
            let (seen, version) = list(&client, path).await;
            snapshots.push((version.clone(), seen.clone()));
            let lines = Lines::open(&client, &format!("{path}&watch=true&resourceVersion={version}")).await;
            followers.push((seen, lines));
        }
    }
    let (end, _) = list(&client, path).await;
    for (mut seen, mut lines) in followers {
        while let Ok(Some(line)) = tokio::time::timeout(Duration::from_secs(1), lines.stream.next()).await {
            let line = line.unwrap();
            let meta = &line["object"]["metadata"];
            let name = meta["name"].as_str().unwrap().to_owned();
            let had = match line["type"].as_str().unwrap() {
                "DELETED" => seen.remove(&name).is_some(),
                "MODIFIED" => seen.insert(name.clone(), meta.clone()).is_some(),
                _ => seen.insert(name.clone(), meta.clone()).is_none(),
            };
            assert!(had, "seed {seed}: {line} does not fit what was told before");
        }
        assert_eq!(seen, end, "seed {seed}");
    }
    for (version, then) in snapshots {
        let stale = Trouble::Stale(version.parse().unwrap());
        api.inject(Fault::Requests { matching: Matching::default(), after: 0, times: 1, trouble: stale });
        assert_eq!(list(&client, path).await.0, then, "seed {seed} at {version}");
    }
    let uids: Vec<String> = api.list("ConfigMap").iter().map(|one| object::text(one, "uid").to_owned()).collect();
    for object in api.list("ConfigMap") {
        let owners: Vec<&str> = object::owners(&object).collect();
        let is_orphan = !owners.is_empty() && owners.iter().all(|owner| !uids.iter().any(|uid| uid == owner));
        assert!(!is_orphan || object::is_leaving(&object), "seed {seed}: {object} outlives its owners");
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_and_a_watch_end_where_a_later_list_does() {
    for seed in 0..40 {
        check_history(seed).await;
    }
}
