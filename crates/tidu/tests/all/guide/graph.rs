// A part of docs/prove-your-own-primitive.md: what graphs want to know.
impl GraphOperation for Op {
    type Operand = f64;
    type Context = ();
    type InputKey = StringKey;

    fn input_count(&self) -> usize {
        match self {
            Op::Const(_) => 0,
            Op::Tanh | Op::SinhCosh => 1,
            Op::Add | Op::Mul => 2,
        }
    }

    fn output_count(&self) -> usize {
        match self {
            Op::SinhCosh => 2,
            _ => 1,
        }
    }

    fn fmt_name(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::Const(bits) => write!(f, "const {:?}", f64::from_bits(*bits)),
            Op::Add => f.write_str("add"),
            Op::Mul => f.write_str("mul"),
            Op::Tanh => f.write_str("tanh"),
            Op::SinhCosh => f.write_str("sinh_cosh"),
        }
    }
}
