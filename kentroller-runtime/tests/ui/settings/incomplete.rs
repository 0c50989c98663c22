use kentroller_runtime::Settings;

#[derive(Settings)]
pub struct Lamps {
    #[setting(env = "LAMPS", default = 3)]
    pub lamps: u16,
    /// Nobody can set it.
    #[setting(default = 3)]
    pub hidden: u16,
    /// Nobody knows what holds.
    #[setting(env = "WARMTH")]
    pub warmth: u16,
    /// Never unset.
    #[setting(env = "NAME", default = "hall")]
    pub name: Option<String>,
}

fn main() {}
