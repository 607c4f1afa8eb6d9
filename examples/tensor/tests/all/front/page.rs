//! The page of messages is what tensors print: each of its rows, by the code of the row.

use std::panic::{AssertUnwindSafe, catch_unwind};

use num_complex::Complex64;
use tidu_tensor::{Tape, Tensor, Value, Var, function, types};
use tidu_testkit::{assert_messages, panic_text};

#[test]
fn the_page_says_what_tensors_print() {
    let printed = [
        shapes(),
        axes(),
        kinds(),
        linear_algebra(),
        gradients(),
        tapes(),
    ]
    .concat();
    let page = include_str!("../../../../../docs/messages.md");
    assert_messages(page, |section| section == "Tensors", &printed);
}

fn matrices() -> [Tensor; 3] {
    [
        Tensor::from([[2.0, 1.0], [1.0, 3.0]]),
        Tensor::from([1.0, 2.0, 3.0]),
        Tensor::full(&[2, 3], 0.5),
    ]
}

fn shapes() -> Vec<String> {
    let [m, v, w] = matrices();
    let n = Tensor::from(2.0);
    let (mut x, column) = (Tensor::from([1.0, 2.0]), Tensor::from([[1.0], [2.0]]));
    vec![
        panic_text(|| &w * &m),
        panic_text(|| m.matmul(&v)),
        panic_text(|| w.matmul(&w)),
        panic_text(|| m.matmul(&n)),
        panic_text(|| m.einsum("ij,jk->ik", &v)),
        panic_text(|| m.einsum("ij,j->i", &v)),
        panic_text(|| m.einsum("ij->ji", &v)),
        panic_text(|| w.reshape([4])),
        Tensor::new([2, 3], vec![1.0; 5]).unwrap_err().to_string(),
        panic_text(|| v.broadcast_to([3, 2])),
        panic_text(|| w.slice(1, 2..4)),
        panic_text(|| w.pad([(1, 1)])),
        panic_text(|| Tensor::concatenate(&[&w, &m], 0)),
        panic_text(|| x += column),
    ]
}

fn axes() -> Vec<String> {
    let [_, _, w] = matrices();
    let n = Tensor::from(2.0);
    vec![
        panic_text(|| w.sum([2])),
        panic_text(|| w.expand(3)),
        panic_text(|| n.log_softmax([-1])),
        panic_text(|| w.mean_kept([0, -2])),
        panic_text(|| w.permute([0, 0])),
        panic_text(|| w.slice(0, 0..0).argmax(0)),
    ]
}

fn kinds() -> Vec<String> {
    let [_, v, w] = matrices();
    let x = Tensor::from([1.0, 2.0]);
    let z = Tensor::from([Complex64::I; 2]);
    vec![
        panic_text(|| x + Tensor::from([1, 2])),
        panic_text(|| w.gather(0, &v)),
        panic_text(|| z.min([0])),
    ]
}

fn linear_algebra() -> Vec<String> {
    let [m, v, w] = matrices();
    let s = Tensor::full(&[4, 2, 3], 0.5);
    vec![
        panic_text(|| m.solve(&v)),
        panic_text(|| w.solve(&v)),
        panic_text(|| s.cholesky()),
        panic_text(|| w.qr()),
    ]
}

fn gradients() -> Vec<String> {
    let inputs = [("x", types::real([3])), ("i", types::index([2]))];
    let f = function([inputs[0].clone()], |[x]| x.exp()).unwrap();
    let h = function(inputs.clone(), |[x, i]| x.gather(0, &i).sum_all()).unwrap();
    let beside = function([inputs[0].clone()], |[x]| [x.argmax(0), x.sum_all()]).unwrap();
    let complex = function([("z", types::complex([3]))], |[z]| z.exp()).unwrap();
    let short = [Tensor::from([1.0, 2.0])];
    vec![
        f.grad("x").unwrap_err().to_string(),
        complex.jacobian("z").unwrap_err().to_string(),
        h.grad(..).unwrap_err().to_string(),
        beside.jvp("x").unwrap_err().to_string(),
        f.compile().call(&short).unwrap_err().to_string(),
    ]
}

fn tapes() -> Vec<String> {
    let tape = Tape::new();
    let x = tape.var([1.0, 2.0]);
    let y = x.square();
    let (seed, tangent) = (Tensor::from(1.0), Tensor::from([[1.0, 1.0]]));
    let constant = Var::from(1.0).backward().err().unwrap();

    let mut other = Tape::new();
    let points = [Tensor::from([1.0, 2.0])];
    let many = other.value_and_grad(|p| p[0].square(), &points);
    let many = many.unwrap_err().to_string();
    let indices = [Tensor::from([1, 2])];
    let indices = other.value_and_grad(|p| p[0].to_real().sum_all(), &indices);
    let indices = indices.unwrap_err().to_string();

    let hooked = Tape::new();
    let z = hooked.var([3.0, 0.25]);
    z.hook(|g| Some(g.sum_all())).unwrap();
    let sum = z.square().sum_all();
    // It names the line of the hook, and panics elsewhere, on the way back.
    let panic = catch_unwind(AssertUnwindSafe(|| sum.backward().is_ok())).unwrap_err();
    let of_hook = panic.downcast_ref::<String>().unwrap().clone();
    vec![
        many,
        tape.backward_all(&[(&y, seed)]).err().unwrap().to_string(),
        tape.tangents(&[(&x, tangent)], &[&y])
            .unwrap_err()
            .to_string(),
        indices,
        x.argmax(0).backward().err().unwrap().to_string(),
        constant.to_string(),
        panic_text(|| tape.with(|_| x.exp())),
        of_hook,
    ]
}
