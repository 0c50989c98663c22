//! Answers that are late, refused, cut off or none at all.

use super::region::{self, CSV, WARNINGS};
use super::stub::{Reply, Stub};
use super::{inventory, read};

const CALLS: [&str; 5] = [
    "DescribeAvailabilityZones",
    "DescribeInstanceTypes",
    "DescribeInstanceTypeOfferings",
    "DescribeSpotPriceHistory",
    "GetProducts",
];

/// A region that answers one call wrongly, as long as `wrong` says so: it gets the number of such requests before.
fn with(call: &'static str, wrong: impl Fn(usize) -> Option<Reply> + Send + Sync + 'static) -> Stub {
    let before = std::sync::Mutex::new(0);
    Stub::start(move |request, _| {
        if request.call() != call {
            return region::answer(request);
        }
        let mut before = before.lock().expect("nobody panicked");
        *before += 1;
        wrong(*before - 1).unwrap_or_else(|| region::answer(request))
    })
}

fn refused(call: &str, status: u16, code: &str) -> Reply {
    match call {
        "GetProducts" => {
            let body = format!("{{\"__type\":\"com.amazonaws.pricing#{code}\",\"Message\":\"the reason\"}}");
            Reply { status, ..Reply::ok(body) }
        }
        _ => Reply::refused(status, code, "the reason"),
    }
}

#[test]
fn pages_are_read_to_the_end_and_what_cannot_be_used_is_told() {
    let stub = Stub::start(|request, _| region::answer(request));
    let ran = read(&stub.address);
    assert!(ran.is_right, "{ran:?}");
    assert_eq!(ran.out, CSV);
    assert!(ran.told.starts_with(WARNINGS), "{}", ran.told);
    let asked = CALLS.map(|call| stub.count(call));
    assert_eq!(asked, [1, 3, 4, 3, 1]);
    for request in stub.asked().iter().filter(|request| request.call() == "DescribeSpotPriceHistory") {
        assert_eq!(request.field("StartTime"), "2026-10-27T12%3A00%3A00Z");
        assert_eq!(request.field("MaxResults"), "1000");
    }
    assert!(stub.asked().iter().all(|request| request.path == "/"));
}

#[test]
fn the_policy_is_what_a_reading_asks_for() {
    let stub = Stub::start(|request, _| region::answer(request));
    assert!(read(&stub.address).is_right);
    let mut asked: Vec<String> = stub.asked().iter().map(super::stub::Request::call).collect();
    asked.sort();
    asked.dedup();
    let policy: serde_json::Value = serde_json::from_str(&kentroller_aws::policy()).expect("JSON");
    let actions = policy["Statement"][0]["Action"].as_array().expect("a list");
    let mut allowed: Vec<&str> =
        actions.iter().filter_map(|action| action.as_str()?.split_once(':').map(|(_, call)| call)).collect();
    allowed.sort_unstable();
    assert_eq!(asked, allowed);
}

#[test]
fn a_call_that_fails_once_is_made_again() {
    for call in CALLS {
        let throttled = if call == "GetProducts" { "ThrottlingException" } else { "RequestLimitExceeded" };
        for (what, fault) in [
            ("throttled", refused(call, 503, throttled)),
            ("throttled with 400", refused(call, 400, throttled)),
            ("a page of HTML with 500", Reply { status: 500, ..Reply::ok("<!doctype html><html></html>") }),
            ("cut off", Reply { cut_after: Some(40), ..Reply::ok("x".repeat(80)) }),
        ] {
            let stub = with(call, move |before| (before == 0).then(|| fault.clone()));
            let ran = read(&stub.address);
            assert!(ran.is_right, "{call} {what}: {ran:?}");
            assert_eq!(ran.out, CSV, "{call} {what}");
        }
    }
}

#[test]
fn no_answer_at_all_ends_after_five_attempts() {
    let stub = with("DescribeInstanceTypes", |_| Some(Reply { status: 503, ..Reply::ok("") }));
    let ran = read(&stub.address);
    let wanted =
        format!("ec2:DescribeInstanceTypes: no answer from {} after 5 attempts: HTTP status 503", stub.address);
    assert_eq!((ran.is_right, ran.told.trim()), (false, &*wanted));
    assert_eq!(stub.count("DescribeInstanceTypes"), 5);
    // A host that is not there.
    let ran = read("http://127.0.0.1:1");
    assert!(!ran.is_right && ran.told.contains("after 5 attempts") && ran.told.contains("onnect"), "{ran:?}");
}

#[test]
fn an_answer_that_is_none_is_told_at_once_with_its_action_and_never_used() {
    for call in CALLS {
        let (service, html) =
            (if call == "GetProducts" { "pricing" } else { "ec2" }, "<!doctype html><html><p>Log in</html>");
        let half = region_page(call);
        // Its rows have the same name.
        let other = if service == "pricing" { "{}".to_owned() } else { half.replace(call, "DescribeSubnets") };
        for (what, body) in [
            ("HTML with 200", html.to_owned()),
            ("the answer to another call", other),
            ("half of it, and nothing says so", half[..half.len() / 2].to_owned()),
            ("nothing", String::new()),
            ("fields that are missing", region::ec2(call, "instanceTypeSet", &["<a/>".to_owned()], "")),
        ] {
            let stub = with(call, move |_| Some(Reply::ok(body.clone())));
            let ran = read(&stub.address);
            assert!(!ran.is_right && ran.out.is_empty(), "{call} {what}: {ran:?}");
            assert!(ran.told.starts_with(&format!("{service}:{call}: what ")), "{call} {what}: {}", ran.told);
            assert!(ran.told.contains("is it AWS, or a proxy?"), "{call} {what}: {}", ran.told);
            assert_eq!(stub.count(call), 1, "{call} {what}");
        }
    }
}

/// The first page of a call.
fn region_page(call: &'static str) -> String {
    let stub = Stub::start(|request, _| region::answer(request));
    read(&stub.address);
    let first = stub.asked().into_iter().find(|request| request.call() == call).expect("it was asked");
    region::answer(&first).body
}

#[test]
fn a_right_that_is_missing_is_named_and_without_spot_prices_it_goes_on() {
    for call in CALLS {
        let code = if call == "GetProducts" { "AccessDeniedException" } else { "UnauthorizedOperation" };
        let stub = with(call, move |_| Some(refused(call, 403, code)));
        let ran = read(&stub.address);
        let action = format!("{}:{call}", if call == "GetProducts" { "pricing" } else { "ec2" });
        let wanted = format!("{action} is not allowed: add it to the policy of the role ({code}: the reason)\n");
        if call == "DescribeSpotPriceHistory" {
            assert!(ran.is_right && ran.told.starts_with(&format!("no spot prices: {wanted}")), "{ran:?}");
            let without: String =
                CSV.lines().filter(|line| !line.contains(",spot,")).map(|line| format!("{line}\n")).collect();
            assert_eq!(ran.out, without);
        } else {
            assert_eq!((ran.is_right, ran.told), (false, wanted));
        }
        assert_eq!(stub.count(call), 1);
    }
}

#[test]
fn an_empty_answer_and_one_that_never_ends_are_no_catalogue() {
    for (call, set) in
        [("DescribeInstanceTypes", "instanceTypeSet"), ("DescribeInstanceTypeOfferings", "instanceTypeOfferingSet")]
    {
        let empty = region::ec2(call, set, &[], "");
        let ran = read(&with(call, move |_| Some(Reply::ok(empty.clone()))).address);
        assert!(!ran.is_right && ran.told.starts_with(&format!("ec2:{call} answers with an empty list")), "{ran:?}");
    }
    let ran = read(&with("GetProducts", |_| Some(Reply::ok("{\"PriceList\":[]}"))).address);
    assert!(!ran.is_right && ran.told.starts_with("pricing:GetProducts answers with an empty list"), "{ran:?}");
    // The same page, and the same token.
    let endless = region::ec2("DescribeSpotPriceHistory", "spotPriceHistorySet", &[], "again");
    let ran = read(&with("DescribeSpotPriceHistory", move |_| Some(Reply::ok(endless.clone()))).address);
    assert!(!ran.is_right && ran.told.contains("the token of the next page is that of this one"), "{ran:?}");
    // An empty page with a token is not the end.
    let empty = region::ec2("DescribeSpotPriceHistory", "spotPriceHistorySet", &[], "0");
    let ran =
        read(&with("DescribeSpotPriceHistory", move |before| (before == 0).then(|| Reply::ok(empty.clone()))).address);
    assert_eq!(ran.out, CSV);
}

#[test]
fn prices_in_another_currency_are_no_prices() {
    let stub = Stub::start(|request, _| match &*request.call() {
        "GetProducts" => region::products(request, &[region::product("m5.large", "Shared", "Hrs", "CNY", "0.6")]),
        _ => region::answer(request),
    });
    let ran = read(&stub.address);
    assert!(!ran.is_right, "{ran:?}");
    assert!(
        ran.told.starts_with("no on-demand price of region us-east-1 can be used (a price in CNY, not in USD"),
        "{}",
        ran.told
    );
}

#[test]
fn a_region_that_is_none_is_refused_before_anybody_is_asked() {
    for region in ["mars", "us-east-1.example.org", ""] {
        let ran = inventory(region, &super::KEYS);
        let told =
            if region.is_empty() { "no region is known".to_owned() } else { format!("{region:?} is no region of AWS") };
        assert!(!ran.is_right && ran.told.starts_with(&told), "{ran:?}");
    }
}
