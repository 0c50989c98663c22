//! Who the backend is, and who is on the way.

use std::path::PathBuf;

use kentroller_rpc::{Client, Endpoint, Identity, NoPlan, Tls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};

use crate::scene::{Backend, KEY, LIMITS, QUICK, ask, endpoint, ms};

/// An authority of the test's own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate"))
    }

    /// In a file, as a user names it.
    fn file(&self, name: &str) -> PathBuf {
        let file = std::env::temp_dir().join(format!("kentroller-rpc-{}-{name}.pem", std::process::id()));
        std::fs::write(&file, self.0.pem()).expect("a file");
        file
    }

    fn vouch(&self, host: &str, until: i32) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![host.to_owned()]).expect("a name");
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(until, 1, 1));
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Identity { certificate: certificate.pem().into_bytes(), private_key: key.serialize_pem().into_bytes() }
    }
}

fn asked(endpoint: Endpoint) -> Result<String, NoPlan> {
    let mut pace = QUICK;
    pace.connect = ms(1_000);
    ask(&Client::start(endpoint, pace).expect("a thread"), "a")
}

#[test]
fn only_a_backend_that_the_authority_vouches_for_is_asked() {
    let (ours, other) = (Authority::new(), Authority::new());
    let (file, other_file) = (ours.file("ours"), other.file("other"));
    let cases = [
        ("the right one", Some(ours.vouch("localhost", 2040)), Tls::Authority(file.clone()), None),
        (
            "another authority",
            Some(ours.vouch("localhost", 2040)),
            Tls::Authority(other_file),
            Some("invalid peer certificate"),
        ),
        (
            "authorities of this machine",
            Some(ours.vouch("localhost", 2040)),
            Tls::System,
            Some("invalid peer certificate"),
        ),
        (
            "another host",
            Some(ours.vouch("elsewhere.example", 2040)),
            Tls::Authority(file.clone()),
            Some("not valid for name"),
        ),
        ("an old certificate", Some(ours.vouch("localhost", 2021)), Tls::Authority(file.clone()), Some("expired")),
        ("no TLS there", None, Tls::Authority(file), Some("no connection with")),
        ("no TLS here", Some(ours.vouch("localhost", 2040)), Tls::Off, Some("no connection with")),
        ("no file", None, Tls::Authority("/nowhere/ca.pem".into()), Some("/nowhere/ca.pem")),
    ];
    for (what, identity, tls, wanted) in cases {
        let backend = Backend::start(LIMITS, identity);
        let answer = asked(Endpoint { tls, ..endpoint(&format!("localhost:{}", backend.address.port())) });
        match (answer, wanted) {
            (Ok(answer), None) => assert_eq!(answer, "a"),
            (Err(NoPlan::Away(why)), Some(wanted)) => {
                assert!(why.contains(wanted) && !why.contains(KEY), "{what}: {why}");
            }
            (answer, _) => panic!("{what}: {answer:?}"),
        }
        let was_asked = !backend.echo.asked.lock().expect("nobody panicked").is_empty();
        assert_eq!(was_asked, wanted.is_none(), "{what}");
    }
}
