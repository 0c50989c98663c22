use kentroller_runtime::Settings;

#[derive(Settings)]
pub struct Lamps {
    /// A number.
    #[setting(env = "LAMPS", config = "lamps.number", default = 3)]
    pub lamps: u16,
    /// The same variable and key.
    #[setting(env = "LAMPS", config = "lamps.number", default = 3)]
    pub again: u16,
    /// In lower case.
    #[setting(env = "lamps-more", default = 3)]
    pub more: u16,
}

#[derive(Settings)]
pub struct Misspelled {
    /// A misspelled word.
    #[setting(evn = "LAMPS", default = 3)]
    pub lamps: u16,
}

#[derive(Settings)]
pub enum Word {
    Plain,
    Carries(u8),
}

fn main() {}
