//! What an operation set declares of its operations: in which operands they are linear.

/// In which of its operands an operation is linear, the others being fixed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Linearity {
    /// Nothing is said: the operation is believed wherever it stands.
    #[default]
    Undeclared,
    /// In all operands together, and in no fewer: x + y, -x, a sum, a concatenation. (With x fixed,
    /// x + y is affine in y, not linear.)
    Joint,
    /// In each single operand: x·y, a matrix product.
    Each,
    /// In exactly these sets of operands, each given as an active mask: x / y in `[true, false]`.
    In(&'static [&'static [bool]]),
    /// In none.
    Never,
}

impl Linearity {
    /// Whether an operation may stand with this active mask, if something is declared.
    pub fn permits(self, active_mask: &[bool]) -> bool {
        let active = active_mask.iter().filter(|active| **active).count();
        match self {
            Linearity::Undeclared => true,
            _ if active == 0 => true,
            Linearity::Joint => active == active_mask.len(),
            Linearity::Each => active == 1,
            Linearity::In(masks) => masks.contains(&active_mask),
            Linearity::Never => false,
        }
    }
}
