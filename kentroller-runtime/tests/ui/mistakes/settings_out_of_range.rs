#[derive(Clone, Debug, kentroller_runtime::Settings)]
pub struct Settings {
    /// How many at once.
    #[setting(env = "WORKERS", default = 1000, range(1, 100))]
    pub workers: u32,
    /// How many at most.
    #[setting(env = "MOST", default = 5, range(10, 1))]
    pub most: i64,
    /// How long.
    #[setting(env = "PERIOD", default = "2h", range("1s", "1h"))]
    pub period: std::time::Duration,
}

fn main() {}
