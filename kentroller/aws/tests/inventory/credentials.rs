//! Where credentials come from, and what happens without right ones.

use super::moto::Moto;
use super::region::{self, CSV};
use super::stub::{Reply, Request, Stub};
use super::{KEYS, inventory, read};

/// The key that a request is signed with.
fn key(request: &Request) -> String {
    let credential = request.head.split("credential=").nth(1).unwrap_or_default();
    credential.split('/').next().unwrap_or_default().to_owned()
}

/// What a request is signed for: date, region, service.
fn scope(request: &Request) -> Vec<String> {
    let credential = request.head.split("credential=").nth(1).unwrap_or_default();
    let scope = credential.split(',').next().unwrap_or_default();
    scope.split('/').skip(2).take(2).map(str::to_owned).collect()
}

#[test]
fn without_credentials_everything_that_was_tried_is_told() {
    let stub = Stub::start(|request, _| region::answer(request));
    let ran = inventory("us-east-1", &[("AWS_ENDPOINT_URL", &stub.address)]);
    assert!(!ran.is_right, "{ran:?}");
    assert!(ran.told.starts_with("no credentials for AWS: give the ServiceAccount a role"), "{}", ran.told);
    for tried in ["Environment", "Profile", "WebIdentityToken", "EcsContainer", "Ec2InstanceMetadata"] {
        assert!(ran.told.contains(tried), "{tried}: {}", ran.told);
    }
    assert!(stub.asked().is_empty());
}

#[test]
fn each_request_is_signed_with_the_keys_of_the_environment_for_its_region_and_service() {
    let stub = Stub::start(|request, _| region::answer(request));
    let variables = [("AWS_ENDPOINT_URL", &*stub.address), ("AWS_SESSION_TOKEN", "the-token")];
    let ran = inventory("us-east-1", &[&KEYS[..], &variables].concat());
    assert_eq!(ran.out, CSV, "{ran:?}");
    for request in stub.asked() {
        assert_eq!(key(&request), "akid");
        let service = if request.call() == "GetProducts" { "pricing" } else { "ec2" };
        assert_eq!(scope(&request), ["us-east-1", service]);
        assert!(request.head.contains("x-amz-security-token: the-token"), "{}", request.head);
    }
}

#[test]
fn a_profile_of_a_file_signs_too() {
    let file = std::env::temp_dir().join(format!("kentroller-aws-{}", std::process::id()));
    std::fs::write(&file, "[other]\naws_access_key_id = PROFILEKEY\naws_secret_access_key = x\n").expect("written");
    let stub = Stub::start(|request, _| region::answer(request));
    let path = file.to_str().expect("UTF-8");
    let variables =
        [("AWS_PROFILE", "other"), ("AWS_SHARED_CREDENTIALS_FILE", path), ("AWS_ENDPOINT_URL", &*stub.address)];
    let ran = inventory("us-east-1", &variables);
    std::fs::remove_file(&file).expect("it is there");
    assert_eq!(ran.out, CSV, "{ran:?}");
    assert!(stub.asked().iter().all(|request| key(request) == "profilekey"));
}

#[test]
fn pod_identity_gives_the_keys_of_the_agent_on_the_node() {
    let agent = Stub::start(|request, _| {
        assert!(request.head.contains("authorization: the-token-of-the-pod"), "{}", request.head);
        Reply::ok(
            "{\"AccessKeyId\":\"PODKEY\",\"SecretAccessKey\":\"x\",\"Token\":\"t\",\"Expiration\":\"2100-01-01T00:00:00Z\"}",
        )
    });
    let stub = Stub::start(|request, _| region::answer(request));
    let address = format!("{}/v1/credentials", agent.address);
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*address),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "the-token-of-the-pod"),
        ("AWS_ENDPOINT_URL", &*stub.address),
    ];
    let ran = inventory("us-east-1", &variables);
    assert_eq!(ran.out, CSV, "{ran:?}");
    assert!(stub.asked().iter().all(|request| key(request) == "podkey"));
    assert_eq!(agent.asked().len(), 1);
}

#[test]
fn the_role_of_a_service_account_is_taken_on_at_sts() {
    let (moto, stub) = (Moto::start(), Stub::start(|request, _| region::answer(request)));
    let file = std::env::temp_dir().join(format!("kentroller-aws-token-{}", std::process::id()));
    std::fs::write(&file, "a-token-of-kubernetes").expect("written");
    let variables = [
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/kentroller"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().expect("UTF-8")),
        ("AWS_ENDPOINT_URL_STS", &moto.address),
        ("AWS_ENDPOINT_URL_EC2", &stub.address),
        ("AWS_ENDPOINT_URL_PRICING", &stub.address),
    ];
    let ran = inventory("us-east-1", &variables);
    std::fs::remove_file(&file).expect("it is there");
    assert_eq!(ran.out, CSV, "{ran:?}");
    // Keys of a role begin so.
    assert!(stub.asked().iter().all(|request| key(request).starts_with("asia")), "{:?}", stub.asked().first());
}

#[test]
fn credentials_that_aws_does_not_take_are_told_and_not_tried_again() {
    for code in ["ExpiredToken", "AuthFailure", "InvalidClientTokenId"] {
        let stub = Stub::start(move |_, _| Reply::refused(401, code, "the reason"));
        let ran = read(&stub.address);
        let wanted = format!(
            "ec2:DescribeAvailabilityZones: AWS does not take the credentials ({code}: the reason); renew them\n"
        );
        assert_eq!((ran.is_right, ran.told), (false, wanted));
        assert_eq!(stub.asked().len(), 1);
    }
}

#[test]
fn a_clock_that_goes_wrong_is_set_by_the_answer() {
    let stub = Stub::start(|request, _| {
        if request.head.contains("x-amz-date: 2100") {
            return region::answer(request);
        }
        let head = "date: Fri, 01 Jan 2100 12:00:00 GMT\r\n".to_owned();
        Reply { head, ..Reply::refused(400, "RequestExpired", "Request has expired.") }
    });
    let ran = read(&stub.address);
    assert_eq!(ran.out, CSV, "{ran:?}");
    let late = stub.asked().iter().filter(|request| !request.head.contains("x-amz-date: 2100")).count();
    assert_eq!(late, 1);
}
