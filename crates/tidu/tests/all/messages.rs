//! The page of messages is what is printed: each of its rows, by the code of the row.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::fmt::Display;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidu::eager::Tape as EagerTape;
use tidu::graph::{GraphOperation, LocalValueId, OperationRole, ValueKey, ValueRef};
use tidu::scalar::{
    self, CompileScalar, Expr, ScalarKey, ScalarOp, Scan, ScanInputs, Tape, Var, Workspace,
    function,
};
use tidu::{
    ADRuleError, ADRuleKind, ADRuleResult, Function, Primitive, PrimitiveBuilder, PrimitiveValue,
    Rules, StringKey,
};
use tidu_testkit::{assert_messages, panic_text};

type F = Function<ScalarOp>;

/// An operation whose rules are not written yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Lookup;

impl GraphOperation for Lookup {
    type Operand = f64;
    type Context = ();
    type InputKey = StringKey;

    fn input_count(&self) -> usize {
        1
    }

    fn output_count(&self) -> usize {
        1
    }
}

impl Primitive for Lookup {
    type ADContext = ();

    fn add() -> Self {
        Self
    }

    fn try_jvp_rule(
        &self,
        _: &mut impl PrimitiveBuilder<Self>,
        _: &[ValueKey<Self>],
        _: &[ValueKey<Self>],
        _: &[Option<LocalValueId>],
        (): &mut (),
    ) -> ADRuleResult<Vec<Option<LocalValueId>>> {
        Err(ADRuleError::unsupported("lookup", ADRuleKind::Jvp))
    }

    fn transpose_rule(
        &self,
        _: &mut impl PrimitiveBuilder<Self>,
        _: &[Option<LocalValueId>],
        _: &[PrimitiveValue<Self>],
        _: &OperationRole,
        (): &mut (),
    ) -> Vec<Option<LocalValueId>> {
        vec![None]
    }
}

#[test]
fn the_page_says_what_is_printed() {
    let printed = [
        making(),
        deriving(),
        running(),
        reading(),
        variables(),
        counts(),
        backward(),
        loops(),
        scans(),
    ]
    .concat();
    // Tensors have a test of their own, and the compiler's words may change.
    let checked = |section: &str| !["Tensors", "What rustc says"].contains(&section);
    assert_messages(
        include_str!("../../../../docs/messages.md"),
        checked,
        &printed,
    );
}

#[track_caller]
fn told<T, E: Display>(found: Result<T, E>) -> String {
    let Err(error) = found else {
        panic!("no error")
    };
    error.to_string()
}

/// x·eʸ
fn f() -> F {
    function(["x", "y"], |[x, y]| x * y.exp()).unwrap()
}

/// (x + y, x·y)
fn g() -> F {
    function(["x", "y"], |[x, y]| [&x + &y, x * y]).unwrap()
}

fn making() -> Vec<String> {
    let (f, g) = (f(), g());
    let (mut inner, mut otherwise) = (String::new(), String::new());
    let outer = function(["x"], |[x]| {
        inner = told(function(["x"], |[y]| &x * y));
        otherwise = told(function(["y"], |[y]| &x * y));
        x
    });
    outer.unwrap();
    let needed = told(function(["y"], |[y]| y * Expr::input("x")));
    assert_eq!(otherwise, needed);
    let few = function(["x", "dx"], |[x, dx]| x * dx).unwrap();
    let square = function(["x", "y", "dx", "dy"], |[x, y, dx, dy]| x * y * dx * dy).unwrap();
    vec![
        told(function(["x", "x"], |[x, _]| x)),
        needed,
        inner,
        told(g.compose(&f)),
        told(g.select(&["out2"])),
        told(f.bind("x", ScalarOp::Sin)),
        told(f.with_rules("decay", Rules::jvp(few))),
        told(f.with_rules("decay", Rules::jvp(square))),
    ]
}

fn deriving() -> Vec<String> {
    let (f, g) = (f(), g());
    let own = Function::<Lookup>::build(["x"], |b, x| {
        b.add_operation(Lookup, vec![ValueRef::Local(x[0])], OperationRole::Primary)
            .to_vec()
    });
    vec![
        told(f.grad("z")),
        told(f.grad(5)),
        told(f.grad([0; 0])),
        told(g.grad(..)),
        told(function(["x"], |_| []).unwrap().grad(..)),
        told(own.unwrap().jvp("x")),
        told(f.transpose(..)),
    ]
}

fn running() -> Vec<String> {
    let f = f();
    let program = f.compile_scalar().unwrap();
    let workspace = &mut Workspace::default();
    vec![
        told(f.compile().call(&[1.0])),
        told(program.call(&[1.0])),
        told(program.eval_into(workspace, &[1.0, 2.0], &mut [0.0; 2])),
        told(program.eval_batch(&[&[1.0; 2], &[1.0; 3]], &mut [&mut [0.0; 2]])),
        told(f.compile().call_named(&[("x", 1.0)])),
    ]
}

fn reading() -> Vec<String> {
    let lines = [
        "%1 = const 1,5",
        "%1 = const",
        "%1 = powi 2.5 %0",
        "%1 = Sin %0",
        "%1 = sin x",
        "%2 = sin %0",
        "%1 = mul %0",
    ];
    let texts =
        lines.map(|line| format!("function {{\n    input %0 = x\n    {line}\n    output %1\n}}"));
    let mut printed = texts.map(|text| told(text.parse::<F>())).to_vec();
    printed.push(told("linear {\n}".parse::<F>()));
    printed
}

fn eager() -> EagerTape<ScalarOp> {
    EagerTape::new(|| ScalarKey::fresh(0))
}

fn variables() -> Vec<String> {
    let (tape, other) = (Tape::new(), Tape::new());
    let x = tape.var(2.0);
    let y = x * x;
    let gone = tape.scope(|| x * 2.0).unwrap();
    let mut cleared = eager();
    let before = cleared.leaf(1.0);
    cleared.clear();
    let mut rewound = eager();
    let mark = rewound.mark();
    let after = rewound.leaf(1.0);
    rewound.rewind(mark).unwrap();
    let detached = told(x.detach().backward());
    assert_eq!(told(tape.no_grad(|| x * x).backward()), detached);
    vec![
        panic_text(|| tape.var(1.0) * other.var(2.0)),
        panic_text(|| gone.sin()),
        told(cleared.apply_one(ScalarOp::Exp, &[&before])),
        told(rewound.apply_one(ScalarOp::Exp, &[&after])),
        told(Var::constant(1.0).backward()),
        detached,
        told(y.gradient(&[x, Var::constant(1.0)])),
        panic_text(|| tape.with(|_| x + 1.0)),
    ]
}

fn counts() -> Vec<String> {
    let mut tape = eager();
    let x = tape.leaf(1.0);
    vec![
        told(tape.apply(ScalarOp::Add, &[&x])),
        told(tape.apply_one(ScalarOp::SinCos, &[&x])),
        told(scalar::jvp(|x| x[0] * x[1], &[1.0, 2.0], &[1.0])),
    ]
}

fn backward() -> Vec<String> {
    let mut tape = eager();
    let x = tape.leaf(1.0);
    let y = tape.apply_one(ScalarOp::Exp, &[&x]).unwrap();
    let structure = told(tape.to_function(&[("x".into(), &x)], &[&y]));
    tape.backward(&[(&y, 1.0)], &[&x]).unwrap();
    let freed = told(tape.backward(&[(&y, 1.0)], &[&x]));

    let watched = Tape::new();
    watched.with(|tape| tape.watch(|x| (!x.is_finite()).then(|| x.to_string())));
    let infinite = panic_text(|| watched.var(0.0).ln());

    let hooked = Tape::new();
    let z = hooked.var(3.0);
    let square = z * z;
    square.hook(|g| Some(2.0 * g)).unwrap();
    let slope = (square * square).gradient(&[z]).unwrap()[0];
    let replaced = told(slope.backward());

    let mut tape = eager();
    let x = tape.leaf(1.0);
    let y = tape.apply_one(ScalarOp::Exp, &[&x]).unwrap();
    tape.hook_recorded(&x, move |tape, _| {
        tape.backward(&[(&y, 1.0)], &[&x])?;
        Ok(None)
    })
    .unwrap();
    let within = told(tape.backward(&[(&y, 1.0)], &[&x]));
    vec![structure, freed, infinite, replaced, within]
}

fn loops() -> Vec<String> {
    let tape = Tape::new();
    let [x, rate] = tape.vars([0.5, 2.0]);
    let state = told(tape.iterate(3, &[x, rate], |s, _| vec![s[0] * s[1]]));

    let mut inside = eager();
    let mark = inside.mark();
    let u = inside.leaf(0.5);
    let backward = inside.checkpoint(&[&u], |tape, u| {
        tape.backward_keeping(&[(&u[0], 1.0)], &[&u[0]])?;
        Ok(u.to_vec())
    });
    let rewind = inside.checkpoint(&[&u], move |tape, u| {
        tape.rewind(mark)?;
        Ok(u.to_vec())
    });

    // A number that is another each time.
    let times = AtomicUsize::new(0);
    let random = move || f64::from(u8::try_from(times.fetch_add(1, Ordering::Relaxed)).unwrap());
    let changed = tape.checkpoint(&[x], move |x| vec![x[0] * random()]);
    let changed = told(changed.unwrap()[0].backward());
    vec![state, told(backward), told(rewind), changed]
}

fn scans() -> Vec<String> {
    let step = function(["x", "v", "k", "force"], |[x, v, k, force]| {
        [&x + &v, v + force - k * x]
    });
    let step = step.unwrap();
    let scan = Scan::new(&step, ["x", "v"]).unwrap();
    let scan = scan.with_xs("force").unwrap();
    let inputs = ScanInputs {
        carry: &[1.0, 0.0],
        params: &[2.0],
        xs: &[&[0.5, 0.25]],
    };
    let carry = &[1.0];
    vec![
        told(Scan::new(&step, ["x", "v", "k"])),
        told(Scan::new(&step, Vec::<usize>::new())),
        told(scan.call(3, ScanInputs { carry, ..inputs })),
        told(scan.call(3, inputs)),
    ]
}
