//! The program of a build with feature `aws`, against a server that answers as AWS does.

#[path = "../aws/tests/inventory/region.rs"]
mod region;
#[path = "../aws/tests/inventory/stub.rs"]
mod stub;

use std::process::{Command, Output};

use serde_json::{Value, json};

use self::stub::{Reply, Stub};

/// Runs the program, which asks this server and nobody else.
fn kentroller(arguments: &[&str], address: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kentroller"))
        .args(arguments)
        .env_clear()
        .envs([("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_ENDPOINT_URL", address)])
        .envs([("AWS_EC2_METADATA_DISABLED", "true"), ("HOME", "/nonexistent")])
        .output()
        .expect("cargo has built the program")
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn prices_tells_what_aws_says_and_what_of_it_cannot_be_used() {
    let stub = Stub::start(|request, _| region::answer(request));
    let ran = kentroller(&["prices", "--prices", "aws", "--region", "us-east-1", "-o", "csv"], &stub.address);
    assert_eq!(text(ran.stdout), region::CSV);
    let warnings: String = region::WARNINGS.lines().map(|line| format!("kentroller: {line}\n")).collect();
    assert_eq!(text(ran.stderr), warnings);
    // Every page, and nobody else.
    assert_eq!((stub.count("DescribeSpotPriceHistory"), stub.count("GetProducts")), (3, 1));
    assert!(stub.asked().iter().all(|request| request.path == "/"));
    let ran = kentroller(&["prices", "m5", "--prices", "aws", "--region", "us-east-1"], &stub.address);
    let told = text(ran.stdout);
    assert!(told.starts_with("prices: EC2 and its price list, us-east-1, 2"), "{told}");
    assert!(told.contains("0.0960  0.0355-0.0410           2"), "{told}");
}

#[test]
fn a_spot_node_has_the_price_of_its_zone_in_a_plan_that_tells_whose_prices_they_are() {
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a", "labels": {
        "karpenter.sh/nodepool": "general", "karpenter.sh/capacity-type": "spot", "kubernetes.io/hostname": "a",
        "node.kubernetes.io/instance-type": "m5.large", "topology.kubernetes.io/zone": "us-east-1b",
        "topology.kubernetes.io/region": "us-east-1"}},
        "status": {"allocatable": {"cpu": "1930m", "memory": "6903Mi", "pods": "29"}, "conditions": [{"type": "Ready", "status": "True"}]}});
    let dump = std::env::temp_dir().join(format!("kentroller-aws-dump-{}.json", std::process::id()));
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [node]});
    std::fs::write(&dump, list.to_string()).expect("written");
    let stub = Stub::start(|request, _| region::answer(request));
    let file = dump.to_str().expect("UTF-8");
    let ran = kentroller(&["plan", "-f", file, "--prices", "aws", "--steps", "1", "-o", "json"], &stub.address);
    std::fs::remove_file(&dump).expect("it is there");
    let report: Value =
        serde_json::from_slice(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(ran.stderr)));
    assert_eq!(report["cost"]["before"]["hourly"], "0.0355", "{report:#}");
    assert_eq!(report["catalog"]["source"], "EC2 and its price list, us-east-1");
    assert!(report["catalog"]["asOf"].as_str().is_some_and(|as_of| as_of.ends_with('Z')), "{report:#}");
}

#[test]
fn a_right_that_is_missing_is_exit_code_4_and_is_named() {
    let stub = Stub::start(|_, _| Reply::refused(403, "UnauthorizedOperation", "You are not authorized"));
    let ran = kentroller(&["prices", "--prices", "aws", "--region", "us-east-1"], &stub.address);
    let told = text(ran.stderr);
    assert_eq!(ran.status.code(), Some(4), "{told}");
    assert!(
        told.starts_with("kentroller: ec2:DescribeAvailabilityZones is not allowed: add it to the policy"),
        "{told}"
    );
    for (arguments, wanted) in [
        (&["prices", "--prices", "aws"][..], "no region is known: set AWS_REGION"),
        (&["prices", "--prices", "aws", "--region", "mars"], "\"mars\" is no region of AWS"),
    ] {
        let ran = kentroller(arguments, &stub.address);
        let told = text(ran.stderr);
        assert!(ran.status.code() == Some(2) && told.contains(wanted), "{told}");
    }
}
