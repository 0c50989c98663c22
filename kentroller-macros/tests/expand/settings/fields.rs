#[derive(Clone, Debug, Settings)]
pub struct Switches {
    /// How many objects are worked on at once.
    #[setting(env = "WORKERS", default = 10, range(1, 100), helm = "castai.rebalance.workers")]
    pub workers: u16,
    /// Pause between two cycles.
    #[setting(env = "PERIOD", config = "continuous.cycleSeconds", default = "10s", range("1s", "24h"))]
    pub cycle: Duration,
    /// Least saving in percent.
    #[setting(config = "continuous.percent")]
    pub percent: Option<Decimal>,
}
