//! Whether a backend makes the plans, and how it is reached.

use std::path::PathBuf;

use super::{DeploymentMode, Secret, Settings};

/// How a backend is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The cluster, as the backend knows it.
    pub cluster_id: String,
    pub key: KeyOf,
    /// Host and port.
    pub address: String,
    /// Without TLS.
    pub in_the_clear: bool,
    /// The authorities that vouch for the backend; `None`: those of the system.
    pub authority: Option<PathBuf>,
}

/// Where the key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyOf {
    Environment(Secret),
    /// Read again and again.
    File(PathBuf),
}

impl KeyOf {
    /// The key at the moment.
    ///
    /// # Errors
    /// A file that cannot be read or is empty, by its name.
    pub fn read(&self) -> Result<String, String> {
        let file = match self {
            Self::Environment(key) => return Ok(key.reveal().to_owned()),
            Self::File(file) => file,
        };
        let text = std::fs::read_to_string(file);
        let text = text.map_err(|error| format!("API_KEY_FILE {}: {error}", file.display()))?;
        let key = text.trim();
        if key.is_empty() { Err(format!("API_KEY_FILE {}: it is empty", file.display())) } else { Ok(key.to_owned()) }
    }
}

impl Settings {
    /// How the backend is reached; `None`: this program makes the plans.
    ///
    /// # Errors
    /// Every variable that is missing or wrong, in one text.
    pub fn connection(&self) -> Result<Option<Connection>, String> {
        let file = self.api_key_file.as_ref().map(|file| KeyOf::File(file.into()));
        let key = file.or_else(|| self.api_key.clone().map(KeyOf::Environment));
        let named = [&self.cluster_id, &self.api_url, &self.grpc_url];
        let is_connected = match self.deployment_mode {
            Some(mode) => mode == DeploymentMode::Connected,
            None => key.is_some() || named.iter().any(|one| one.is_some()),
        };
        if !is_connected {
            return Ok(None);
        }
        let mut wrong: Vec<String> = [
            ("CLUSTER_ID", self.cluster_id.is_none()),
            ("API_KEY (or API_KEY_FILE)", key.is_none()),
            ("API_URL", self.api_url.is_none()),
            ("GRPC_URL", self.grpc_url.is_none()),
        ]
        .into_iter()
        .filter(|(_, is_missing)| *is_missing)
        .map(|(name, _)| format!("{name} is not set"))
        .collect();
        wrong.extend(
            self.api_url
                .as_deref()
                .filter(|url| !is_url(url))
                .map(|url| format!("API_URL {url:?} is no address such as https://api.example.com")),
        );
        wrong.extend(
            self.grpc_url
                .as_deref()
                .filter(|address| !is_address(address))
                .map(|address| format!("GRPC_URL {address:?} is not host and port, such as grpc.example.com:443")),
        );
        match (self.cluster_id.clone(), key, self.grpc_url.clone()) {
            (Some(cluster_id), Some(key), Some(address)) if wrong.is_empty() => Ok(Some(Connection {
                cluster_id,
                key,
                address,
                in_the_clear: self.grpc_disable_tls,
                authority: self.tls_ca_cert_file.as_ref().map(PathBuf::from),
            })),
            _ => Err(format!(
                "connected mode cannot begin: {}. Set them, or DEPLOYMENT_MODE=standalone",
                wrong.join("; ")
            )),
        }
    }
}

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace))
}

/// Whether a text is host and port and nothing else.
fn is_address(text: &str) -> bool {
    let fits =
        |host: &str| !host.is_empty() && !host.contains(['/', '@', '?', '#']) && !host.contains(char::is_whitespace);
    text.rsplit_once(':').is_some_and(|(host, port)| fits(host) && port.parse::<u16>().is_ok_and(|port| port > 0))
}

#[cfg(test)]
mod tests {
    use kentroller_runtime::settings::Settings as _;

    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Option<Connection>, String> {
        let get = |name: &str| variables.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned());
        Settings::from_env(&get).expect("each reads").connection()
    }

    const ALL: [(&str, &str); 4] = [
        ("CLUSTER_ID", "prod"),
        ("API_KEY", "canary"),
        ("API_URL", "https://api.example.com"),
        ("GRPC_URL", "grpc.example.com:443"),
    ];

    #[test]
    fn one_error_names_everything_that_connected_mode_lacks() {
        assert_eq!(of(&[]), Ok(None));
        let whole = of(&ALL).expect("nothing is missing").expect("it is connected");
        assert_eq!((whole.address.as_str(), whole.in_the_clear), ("grpc.example.com:443", false));
        for one in ALL {
            let why = of(&[one]).expect_err("three are missing");
            let missing: Vec<_> = ALL.iter().filter(|(name, _)| *name != one.0).collect();
            assert!(missing.iter().all(|(name, _)| why.contains(&format!("{name} "))), "{why}");
            assert!(!why.contains(&format!("{} is not set", one.0)) && !why.contains("canary"), "{why}");
        }
        let why = of(&[("DEPLOYMENT_MODE", "connected")]).expect_err("four are missing");
        assert!(ALL.iter().all(|(name, _)| why.contains(name)), "{why}");
    }

    #[test]
    fn standalone_needs_nothing_and_looks_at_nothing() {
        let stand_ins = [
            ("DEPLOYMENT_MODE", "standalone"),
            ("API_KEY", "not-used-in-standalone"),
            ("API_URL", "https://standalone.invalid"),
            ("GRPC_URL", "standalone.invalid:443"),
        ];
        assert_eq!(of(&stand_ins), Ok(None));
        assert_eq!(of(&[("GRPC_DISABLE_TLS", "true")]), Ok(None));
    }

    #[test]
    fn an_address_that_is_none_is_named_with_what_is_expected() {
        for (name, value) in [
            ("GRPC_URL", "https://grpc.example.com"),
            ("GRPC_URL", "grpc.example.com"),
            ("GRPC_URL", "grpc.example.com:http"),
            ("GRPC_URL", "user@grpc.example.com:443"),
            ("API_URL", "api.example.com"),
        ] {
            let mut all = ALL;
            for one in all.iter_mut().filter(|one| one.0 == name) {
                one.1 = value;
            }
            let why = of(&all).expect_err("it is no address");
            assert!(why.contains(name) && why.contains(value) && why.contains("such as"), "{why}");
        }
        let mut ipv6 = ALL;
        ipv6[3].1 = "[::1]:443";
        assert!(of(&ipv6).is_ok());
    }

    #[test]
    fn a_key_of_a_file_is_read_each_time_and_goes_before_the_other() {
        let file = std::env::temp_dir().join(format!("kentroller-key-{}", std::process::id()));
        let name = file.display().to_string();
        let mut all = ALL.to_vec();
        all.push(("API_KEY_FILE", &name));
        let key = of(&all).expect("all are set").expect("connected").key;
        assert!(key.read().expect_err("no file").contains(&name));
        for (text, wanted) in [("one\n", Some("one")), ("two", Some("two")), (" \n", None)] {
            std::fs::write(&file, text).expect("written");
            assert_eq!(key.read().ok().as_deref(), wanted);
        }
        std::fs::remove_file(&file).expect("removed");
    }
}
