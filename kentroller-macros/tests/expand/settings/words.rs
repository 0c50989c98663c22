#[derive(Clone, Copy, Debug, Settings)]
pub enum Filter {
    OptOut,
    OptIn,
}
