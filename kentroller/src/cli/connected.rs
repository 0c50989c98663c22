//! Connected mode from both ends: the operator's backend, and `kentroller serve-plans`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::settings::Connection;

/// Said where a backend is asked for in a build that speaks with none.
const NOT_BUILT: &str = "plans of a backend are not in this build: `cargo build --release --package kentroller --features connected` has them";

/// What a process ends with whose configuration cannot be served: EX_CONFIG of sysexits.
pub(super) const UNSERVED: u8 = 78;

/// Arguments of `kentroller serve-plans`. It ends with 0 when it is told to stop, 2 for wrong usage, 1 for what it cannot serve with.
#[derive(Args, Debug)]
pub(super) struct ServePlans {
    /// Where operators connect.
    #[arg(long, default_value = "127.0.0.1:9443", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// A folder with a file for each cluster, named by the cluster's id, that holds its key; such as a Secret that is mounted. It is read at
    /// each connection.
    #[arg(long, value_name = "FOLDER")]
    keys: PathBuf,
    /// The server's certificate, with those that vouch for it, in PEM.
    #[arg(long, value_name = "FILE", required_unless_present = "disable_tls", requires = "tls_private_key_file")]
    tls_cert_file: Option<PathBuf>,
    /// The key of the certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert_file")]
    tls_private_key_file: Option<PathBuf>,
    /// Serves without TLS: whoever is on the way reads keys and clusters.
    #[arg(long, conflicts_with = "tls_cert_file")]
    disable_tls: bool,
    /// Questions that are worked on at once, those of one cluster one after the other; without it as many as there are cores.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
    /// Questions of one cluster that are open at once; what is beyond is refused.
    #[arg(long, value_name = "NUMBER", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    max_questions: u32,
    /// The largest question that is read. Unit: MiB.
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1024))]
    max_message_mib: u32,
    /// Where probes and metrics answer.
    #[arg(long, default_value = "127.0.0.1:8081", value_name = "ADDRESS")]
    metrics_bind_address: SocketAddr,
}

#[cfg(not(feature = "connected"))]
impl ServePlans {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        drop(self);
        super::complain(&NOT_BUILT);
        Ok(ExitCode::from(2))
    }
}

/// The connection that is asked for, if this build speaks with a backend.
///
/// # Errors
/// One is asked for, and this build speaks with none; which build does.
pub(super) fn available(asked: Option<Connection>) -> Result<Option<Connection>, String> {
    if asked.is_some() && cfg!(not(feature = "connected")) {
        return Err(NOT_BUILT.to_owned());
    }
    Ok(asked)
}

#[cfg(not(feature = "connected"))]
pub(super) use not_built::backend;

#[cfg(not(feature = "connected"))]
mod not_built {
    use crate::backend::{Embedded, Plans};
    use kentroller_runtime::metrics::Metrics;

    use super::Connection;

    /// There is none in this build.
    ///
    /// # Errors
    /// Always, with the build that has it.
    pub(in crate::cli) fn backend(_: Connection, _: &str, _: Embedded, _: &Metrics) -> Result<Plans, String> {
        Err(super::NOT_BUILT.to_owned())
    }
}

#[cfg(feature = "connected")]
pub(super) use built::backend;

#[cfg(feature = "connected")]
mod built {
    use std::num::NonZero;
    use std::sync::Arc;
    use std::time::Duration;

    use anyhow::Context as _;
    use kentroller_rpc::{Client, Endpoint, Identity, Limits, Pace, Serving, Tls, serve};
    use kentroller_runtime::metrics::Metrics;
    use kentroller_runtime::{Clock, MetricInfo, telemetry};
    use tokio::net::TcpListener;

    use super::*;
    use crate::backend::{Backend, Effort, Embedded, Fleet, KeyFolder, Plans, measured};
    use crate::cli::remote::runtime;

    /// How often both sides say that they are there.
    const KEEP_ALIVE: Duration = Duration::from_secs(10);

    /// The plans of the backend of this connection, whose state is told with the metrics.
    ///
    /// # Errors
    /// Why it cannot even be tried.
    pub(in crate::cli) fn backend(
        connection: Connection,
        instance: &str,
        embedded: Embedded,
        metrics: &Metrics,
    ) -> Result<Plans, String> {
        let Connection { cluster_id, key, address, in_the_clear, authority } = connection;
        let tls = match (in_the_clear, authority) {
            (true, _) => Tls::Off,
            (false, Some(file)) => Tls::Authority(file),
            (false, None) => Tls::System,
        };
        let endpoint = Endpoint {
            address,
            tls,
            cluster_id,
            key: Arc::new(move || key.read()),
            instance: instance.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let client = Client::start(endpoint, Pace::default()).map_err(|error| format!("no thread for it: {error}"))?;
        let backend = Arc::new(Backend::new(client));
        for info in [measured::CONNECTED, measured::BREAKS, measured::DROPPED] {
            metrics.tell(info, backend.told(info.name));
        }
        Ok(Plans::of_backend(embedded, backend))
    }

    impl ServePlans {
        pub(in crate::cli) fn execute(self) -> anyhow::Result<ExitCode> {
            telemetry::start();
            let identity = match (&self.tls_cert_file, &self.tls_private_key_file) {
                (Some(certificate), Some(key)) => {
                    Some(Identity { certificate: read(certificate)?, private_key: read(key)? })
                }
                _ => None,
            };
            anyhow::ensure!(self.keys.is_dir(), "--keys {}: there is no such folder", self.keys.display());
            runtime()?.block_on(self.serve(identity))
        }

        async fn serve(self, identity: Option<Identity>) -> anyhow::Result<ExitCode> {
            let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
            let fleet = Arc::new(Fleet::new(Effort::Time, Clock::system()));
            let metrics = Metrics::default();
            let told: [MetricInfo; 5] =
                [measured::STREAMS, measured::ANSWERS, measured::COST, measured::LAST_ANSWER, measured::OBJECTS];
            for info in told {
                metrics.tell(info, fleet.told(info.name));
            }
            let bound =
                async |address: SocketAddr| TcpListener::bind(address).await.with_context(|| address.to_string());
            let (listener, probes) = (bound(self.listen).await?, bound(self.metrics_bind_address).await?);
            let address = listener.local_addr()?;
            tracing::info!(%address, tls = identity.is_some(), keys = %self.keys.display(), "plans are served");
            let serving = Serving {
                keys: Arc::new(KeyFolder(self.keys)),
                planner: fleet,
                limits: Limits {
                    questions: self.max_questions,
                    workers: self.workers.map_or_else(cores, usize::from),
                    message_bytes: usize::try_from(self.max_message_mib).unwrap_or(64) << 20,
                    keep_alive: KEEP_ALIVE,
                },
                identity,
            };
            tokio::select! {
                served = serve(serving, listener, std::future::pending()) => served.map_err(anyhow::Error::msg)?,
                exposed = kentroller_runtime::serve::expose(probes, metrics.register_told("kentroller")) => exposed?,
                () = stopped() => tracing::info!("told to stop"),
            }
            Ok(ExitCode::SUCCESS)
        }
    }

    /// Until the process is told to stop.
    async fn stopped() {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut term) = signal(SignalKind::terminate()) else { return std::future::pending().await };
        tokio::select! {
            _ = term.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    }

    fn read(file: &PathBuf) -> anyhow::Result<Vec<u8>> {
        std::fs::read(file).with_context(|| file.display().to_string())
    }
}
