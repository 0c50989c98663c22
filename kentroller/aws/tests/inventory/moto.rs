//! moto, a server that answers as EC2 does, with all its instance types: started for one test on loopback, and stopped.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// A running server; it is stopped when it is dropped.
pub struct Moto {
    pub address: String,
    process: Child,
}

impl Moto {
    pub fn start() -> Self {
        // The port is free again as soon as this is dropped, and nobody else asks for it.
        let port = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address").port();
        let process = Command::new(program())
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("moto starts");
        let mut moto = Self { address: format!("http://127.0.0.1:{port}"), process };
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
            let ended = moto.process.try_wait().expect("it can be asked");
            assert!(ended.is_none(), "moto has ended: {ended:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
        moto
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Installed below the target folder by `moto.sh`: a minute the first time, at once when it is there.
fn program() -> &'static Path {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let folder = super::built().with_file_name("moto");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/moto.sh");
        let installed = Command::new("bash").arg(script).arg(&folder).status();
        assert!(installed.expect("bash is needed to install moto").success(), "moto is not installed");
        folder.join("bin/moto_server")
    })
}
