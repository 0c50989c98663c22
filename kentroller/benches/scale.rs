//! What a large cluster costs the operator: memory of its stores, cuts and events, and the time of a plan.
//!
//! - Stores: 75,000 pods of some 1,500 templates, 13 kB each on the wire (managed fields, environment, probes, statuses), and
//!   5,000 nodes, paged through the real watch and its projections. Resident bytes above the process before. Bar: 150 MiB.
//! - A cut of those stores (bar: 1 us), and one changed pod applied while a cut is held (bar: 20 us).
//! - A plan for a drifted cluster of 100 nodes through the port that controllers ask. Bar: 0.5 s.
//! - The same question again a minute later, about 1,000 nodes on which nothing has changed. Bar: 50 ms.
//! - An idle hour of virtual time on 1,000 nodes: writes other than lease renewals. Bar: 0.
//!
//! Times are what the thread had of a processor, so that a busy machine tells the same. Run with
//! `cargo bench -p kentroller --bench scale`.
#![allow(clippy::print_stdout, reason = "a benchmark tells its figures")]

use std::convert::Infallible;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use jiff::Timestamp;
use kentroller::api::foreign::{
    ConfigMap, DaemonSet, Node, NodeClaim, NodePool, PersistentVolume, PersistentVolumeClaim, Pod, PodDisruptionBudget,
};
use kentroller::backend::{Effort, Embedded, PlanAsk, Plans, Prices};
use kentroller::simulation::{Operated, served};
use kentroller_planner::Catalog;
use kentroller_runtime::simulation::apiserver::ApiServer;
use kentroller_runtime::store::share::Pool;
use kentroller_runtime::store::watch::{Context, News, start};
use kentroller_runtime::{Cancelled, Cut, Kind, KindEntry, Port, Seen};
use kentroller_world::{CSV, Drift, Setup};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

const PODS: usize = 75_000;
const NODES: usize = 5_000;
const TEMPLATES: usize = 1_500;
const NOW: &str = "2026-11-22T02:00:00Z";

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut good = true;
    let mut tell = |what: &str, found: u128, bar: u128, unit: &str| {
        good &= found <= bar;
        println!("{what}: {found} {unit} (bar {bar})");
    };
    let (cut, bytes, wire) = runtime.block_on(stores());
    println!("{PODS} pods of {TEMPLATES} templates, {wire} bytes each on the wire, and {NODES} nodes");
    tell("stores, resident", bytes / (1 << 20), 150, "MiB");
    tell("a cut", a_cut(&cut).as_nanos(), 1_000, "ns");
    tell("an event with a cut held", an_event(cut).as_nanos(), 20_000, "ns");
    tell("a plan for 100 nodes", plans(100).0.as_millis(), 500, "ms");
    tell("a plan for 1,000 nodes again", plans(1_000).1.as_millis(), 50, "ms");
    tell("an idle hour on 1,000 nodes, besides its leases", an_idle_hour(), 0, "writes");
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Counts what is written in an hour of virtual time in which nothing is wanted, leases left out.
fn an_idle_hour() -> u128 {
    let paused = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    paused.expect("a runtime").block_on(async {
        let operated =
            Operated::start(Drift { nodes: 1_000, seed: 1 }, Setup::default(), now()).expect("the cluster is built");
        tokio::time::sleep(Duration::from_secs(60)).await;
        let since = operated.server.revision();
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        let writes = operated.server.writes(since);
        assert!(writes.len() > 1_000 && operated.is_running(), "the operator renews its lease");
        writes.iter().filter(|write| &*write.kind != "Lease").count() as u128
    })
}

/// Fills stores of pods and nodes as the operator does; says what they hold in memory, and how long a pod is on the wire.
async fn stores() -> (Cut, u128, usize) {
    let templates: Vec<String> = (0..TEMPLATES).map(|number| template(number).to_string()).collect();
    let wire = pod(&templates, 0).len();
    let templates = Arc::new(templates);
    let before = resident();
    let mut cut = Cut::empty(&[KindEntry::of::<Pod>(), KindEntry::of::<Node>()]);
    let pages = Arc::clone(&templates);
    // What the watches remember of values seen so far is held as long as they run.
    let pods = list::<Pod>(&mut cut, PODS, move |number| pod(&pages, number)).await;
    let nodes = list::<Node>(&mut cut, NODES, node).await;
    let bytes = resident().saturating_sub(before);
    pods.abort();
    nodes.abort();
    assert_eq!(cut.store::<Pod>().map(|store| store.len()), Some(PODS));
    assert_eq!(cut.store::<Node>().map(|store| store.len()), Some(NODES));
    (cut, bytes, wire)
}

/// Runs the watch of a kind against a server that makes its objects page by page, until the list is in the store.
async fn list<K: Kind>(
    cut: &mut Cut,
    count: usize,
    object: impl Fn(usize) -> String + Clone + Send + Sync + 'static,
) -> JoinHandle<()> {
    let service = tower::service_fn(move |request: Request<Body>| {
        let object = object.clone();
        async move {
            let query = request.uri().query().unwrap_or_default().to_owned();
            if query.contains("watch=true") {
                std::future::pending::<Infallible>().await;
            }
            let word = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            let number = |name: &str| word(name).and_then(|text| text.parse().ok()).unwrap_or(0_usize);
            let (from, to) = (number("continue"), (number("continue") + number("limit")).min(count));
            let more = if to < count { to.to_string() } else { String::new() };
            let items: Vec<String> = (from..to).map(object).collect();
            let page = format!(
                r#"{{"metadata":{{"resourceVersion":"1","continue":"{more}"}},"items":[{}]}}"#,
                items.join(",")
            );
            Ok::<_, Infallible>(Response::new(Body::from(page.into_bytes())))
        }
    });
    let client = kube::Client::new(service, "default");
    let (to, mut news) = mpsc::channel(10);
    let context = Context { client, to, relist: Arc::new(Notify::new()), namespaces: Vec::new() };
    let watch = tokio::spawn(start::<K>(context));
    match news.recv().await {
        Some(News::Message(message)) => drop(cut.apply(message, now())),
        other => panic!("the list does not arrive: {other:?}"),
    }
    watch
}

fn a_cut(cut: &Cut) -> Duration {
    each(1_000_000, |_| drop(black_box(cut.clone())))
}

/// One pod after the other becomes not ready, each while somebody holds the cut from before.
fn an_event(cut: Cut) -> Duration {
    let store = cut.store::<Pod>().expect("a store of pods");
    let changed: Vec<Pod> = store.all().step_by(7).take(10_000).cloned().map(changed).collect();
    let mut changed = changed.into_iter();
    let mut cut = cut;
    each(10_000, |_| {
        let held = cut.clone();
        let next = std::mem::replace(&mut cut, Cut::empty(&[]));
        cut = next.with(changed.next().expect("a pod for each step"));
        drop(black_box(held));
    })
}

fn changed(mut pod: Pod) -> Pod {
    pod.metadata.resource_version = "2".into();
    pod
}

/// What a plan takes, and the next one of the unchanged cluster.
fn plans(nodes: usize) -> (Duration, Duration) {
    let start = now();
    let server = ApiServer::new(move || start, served());
    Drift { nodes, seed: 1 }.build(&server, start).expect("the cluster is built");
    let mut cut = Cut::empty(&[
        KindEntry::of::<ConfigMap>(),
        KindEntry::of::<PersistentVolume>(),
        KindEntry::of::<PersistentVolumeClaim>(),
        KindEntry::of::<Pod>(),
        KindEntry::of::<Node>(),
        KindEntry::of::<NodeClaim>(),
        KindEntry::of::<NodePool>(),
        KindEntry::of::<DaemonSet>(),
        KindEntry::of::<PodDisruptionBudget>(),
    ]);
    cut = with_all::<Pod>(cut, &server);
    cut = with_all::<Node>(cut, &server);
    cut = with_all::<NodeClaim>(cut, &server);
    cut = with_all::<NodePool>(cut, &server);
    cut = with_all::<DaemonSet>(cut, &server);
    cut = with_all::<PodDisruptionBudget>(cut, &server);
    let catalog = Catalog::from_csv(CSV, "the simulated cloud", "").map(Arc::new).expect("the shipped catalogue");
    let plans = Plans::new(Embedded { prices: Prices::Fixed(catalog), effort: Effort::Steps(5_000) });
    let ask = PlanAsk {
        seed: "bench".to_owned(),
        options: kentroller_planner::Options::default(),
        time_limit: Duration::ZERO,
        tried: None,
    };
    // An hour later: no node is too young.
    let later = start + Duration::from_secs(3_600);
    let asked = |at: Timestamp| plans.fill(&ask, &Seen::of(&cut), at, &Cancelled::default()).expect("a plan");
    let first = each(1, |_| {
        let planned = asked(later);
        println!(
            "the plan removes {} of {nodes} nodes, adds {} and saves {} USD an hour",
            planned.removed.len(),
            planned.spec.node_claims_to_add.len(),
            planned.savings.projected_savings_cost_hourly.clone().unwrap_or_default()
        );
        assert!(planned.removed.len() > 10, "a plan worth measuring");
    });
    let again = each(5, |minute| drop(black_box(asked(later + Duration::from_secs(60 * u64::from(minute + 1))))));
    (first, again)
}

/// What is alike stands once, as in the stores.
fn with_all<K: Kind>(cut: Cut, server: &ApiServer) -> Cut {
    let mut pool = Pool::default();
    server.list(K::INFO.kind).iter().fold(cut, |cut, object| {
        let mut object: K = serde_json::from_value((**object).clone()).expect("it decodes");
        object.share(&mut pool);
        cut.with(object)
    })
}

/// What one of many repetitions takes of a processor.
fn each(times: u32, mut act: impl FnMut(u32)) -> Duration {
    let before = cpu();
    for time in 0..times {
        act(time);
    }
    (cpu() - before) / times
}

fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells what a thread used");
    Duration::from_nanos(text.split(' ').next().and_then(|used| used.parse().ok()).expect("nanoseconds"))
}

/// Bytes of this process that are in memory.
fn resident() -> u128 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux tells what a process holds");
    4096 * text.split(' ').nth(1).and_then(|pages| pages.parse::<u128>().ok()).expect("pages")
}

fn now() -> Timestamp {
    NOW.parse().expect("a time")
}

/// A pod's own words in its template.
const OWN: [&str; 4] = ["@NAME@", "@UID@", "@NODE@", "@IP@"];

fn pod(templates: &[String], number: usize) -> String {
    let own = [
        format!("service-{}-7c9d5f6b8-{number:05}", number % TEMPLATES),
        format!("4f1c2a9e-3b7d-4e85-9c60-{number:012x}"),
        format!("ip-10-{}-{}-7.ec2.internal", number * 31 % NODES / 250, number * 31 % NODES % 250),
        format!("10.{}.{}.{}", 64 + number / 65_536, number / 256 % 256, number % 256),
    ];
    OWN.iter().zip(&own).fold(templates[number % TEMPLATES].clone(), |text, (word, own)| text.replace(word, own))
}

/// A pod of a service as an API server sends it.
fn template(number: usize) -> Value {
    let app = format!("service-{number}");
    let variables: Vec<Value> = (0..30)
        .map(|one| json!({"name": format!("SETTING_{one:02}"), "value": format!("https://{app}.team-{}.svc.cluster.local:8080/v1/{one}", one % 5)}))
        .chain([json!({"name": "POD_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}})])
        .collect();
    let probe = json!({"httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"}, "initialDelaySeconds": 10, "timeoutSeconds": 1,
        "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3});
    let mounts = json!([{"name": "config", "mountPath": "/etc/config"}, {"name": "kube-api-access", "readOnly": true,
        "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}]);
    let requests =
        json!({"cpu": format!("{}m", 50 + number % 40 * 25), "memory": format!("{}Mi", 64 + number % 60 * 32)});
    let container = |name: &str| {
        json!({"name": name, "image": format!("registry.example.com/{app}/{name}:v1.{number}.0"), "env": variables,
            "resources": {"requests": requests, "limits": {"memory": requests["memory"]}},
            "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
            "livenessProbe": probe, "readinessProbe": probe, "volumeMounts": mounts, "imagePullPolicy": "IfNotPresent",
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
            "securityContext": {"allowPrivilegeEscalation": false, "runAsNonRoot": true, "capabilities": {"drop": ["ALL"]}}})
    };
    let fields: serde_json::Map<String, Value> = (0..30)
        .map(|one| (format!("k:{{\"name\":\"SETTING_{one:02}\"}}"), json!({".": {}, "f:name": {}, "f:value": {}})))
        .collect();
    let status = |name: &str| {
        json!({"name": name, "ready": true, "started": true, "restartCount": 0, "image": format!("registry.example.com/{app}/{name}:v1.{number}.0"),
            "imageID": format!("registry.example.com/{app}/{name}@sha256:{number:064x}"), "containerID": format!("containerd://{number:064x}"),
            "state": {"running": {"startedAt": NOW}}, "lastState": {}, "allocatedResources": requests,
            "resources": {"requests": requests, "limits": {"memory": requests["memory"]}}})
    };
    let condition =
        |kind: &str| json!({"type": kind, "status": "True", "lastProbeTime": null, "lastTransitionTime": NOW});
    let conditions =
        ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"].map(condition);
    json!({
        "metadata": {
            "name": "@NAME@", "generateName": format!("{app}-7c9d5f6b8-"), "namespace": format!("team-{}", number % 40), "uid": "@UID@",
            "resourceVersion": "1", "creationTimestamp": NOW,
            "labels": {"app.kubernetes.io/name": app, "app.kubernetes.io/instance": format!("{app}-prod"), "pod-template-hash": "7c9d5f6b8"},
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "8080", "checksum/config": format!("{number:064x}")},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{app}-7c9d5f6b8"),
                "uid": format!("9a1b2c3d-0000-4000-8000-{number:012x}"), "controller": true, "blockOwnerDeletion": true}],
            "managedFields": [{"manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1", "time": NOW, "fieldsType": "FieldsV1",
                "fieldsV1": {"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {"f:env": fields}}}}}],
        },
        "spec": {
            "nodeName": "@NODE@", "containers": [container("app"), container("proxy")], "restartPolicy": "Always",
            "volumes": [{"name": "config", "configMap": {"name": format!("{app}-config"), "defaultMode": 420}},
                {"name": "kube-api-access", "projected": {"defaultMode": 420, "sources": [{"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}]}}],
            "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst", "serviceAccountName": app, "schedulerName": "default-scheduler",
            "securityContext": {"fsGroup": 1000}, "priority": 0, "enableServiceLinks": true, "preemptionPolicy": "PreemptLowerPriority",
            "tolerations": [
                {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
                {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}],
            "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"app.kubernetes.io/name": app}}}],
        },
        "status": {
            "phase": "Running", "podIP": "@IP@", "podIPs": [{"ip": "@IP@"}], "hostIP": "10.0.1.7", "startTime": NOW, "qosClass": "Burstable",
            "conditions": conditions,
            "containerStatuses": [status("app"), status("proxy")],
        },
    })
}

fn node(number: usize) -> String {
    let name = format!("ip-10-{}-{}-7.ec2.internal", number / 250, number % 250);
    let (size, zone) = (["xlarge", "2xlarge", "4xlarge"][number % 3], ["a", "b", "c"][number % 3]);
    let instance = format!("{}.{size}", ["m6i", "m7i", "c6i", "r6i"][number % 4]);
    let images: Vec<Value> = (0..50)
        .map(|one| json!({"names": [format!("registry.example.com/image-{one}@sha256:{one:064x}")], "sizeBytes": 123_456_789 + one}))
        .collect();
    let resources = json!({"cpu": "3920m", "memory": "14900Mi", "ephemeral-storage": "18Gi", "pods": "58"});
    let condition = |kind: &str| {
        json!({"type": kind, "status": if kind == "Ready" { "True" } else { "False" }, "reason": "Kubelet",
        "message": "as it should be", "lastHeartbeatTime": NOW, "lastTransitionTime": NOW})
    };
    let conditions = ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"].map(condition);
    json!({
        "metadata": {
            "name": name, "uid": format!("5e0d1c2b-0000-4000-8000-{number:012x}"), "resourceVersion": "1", "creationTimestamp": NOW,
            "labels": {"kubernetes.io/hostname": name, "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux",
                "node.kubernetes.io/instance-type": instance, "topology.kubernetes.io/zone": format!("us-east-1{zone}"),
                "topology.kubernetes.io/region": "us-east-1", "karpenter.sh/nodepool": "general", "karpenter.sh/capacity-type": "on-demand",
                "karpenter.sh/registered": "true", "karpenter.sh/initialized": "true"},
            "annotations": {"node.alpha.kubernetes.io/ttl": "15", "csi.volume.kubernetes.io/nodeid": format!("{{\"ebs.csi.aws.com\":\"i-{number:017x}\"}}")},
            "managedFields": [{"manager": "kubelet", "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": {"f:status": {"f:images": {}}}}],
        },
        "spec": {"providerID": format!("aws:///us-east-1{zone}/i-{number:017x}")},
        "status": {"capacity": resources, "allocatable": resources, "images": images,
            "conditions": conditions,
            "addresses": [{"type": "InternalIP", "address": "10.0.1.7"}, {"type": "Hostname", "address": name}],
            "nodeInfo": {"architecture": "amd64", "operatingSystem": "linux", "kubeletVersion": "v1.35.8", "osImage": "Amazon Linux 2023"}},
    })
    .to_string()
}
