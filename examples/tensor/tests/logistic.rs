//! The gradient of logistic regression, to be read: what is computed forward, and what of it backward.

mod support;

use insta::assert_snapshot;
use support::{Kind, laws, tensor};
use tidu::Function;
use tidu::laws::Case;
use tidu_tensor::model::{cross_entropy, scores};
use tidu_tensor::{Tensor, TensorOp, function, types};

/// The linear map of a function at a point, and its transpose, as text; once they are known to be right: by
/// finite differences, by ⟨c, J·t⟩ = ⟨Jᵀ·c, t⟩, and by everything else that the laws ask for.
fn reviewed(
    function: &Function<TensorOp>,
    wrt: &[&str],
    draw: impl Fn(&mut tidu::laws::Random) -> Vec<Tensor> + 'static,
) -> String {
    let case = Case::function("a model", function.clone(), draw);
    laws().case(case).check().assert();
    let split = function.linearize(wrt).unwrap();
    let tangents: Vec<String> = wrt.iter().map(|name| format!("d0.{name}")).collect();
    let transposed = split.linear.transpose(tangents).unwrap();
    [split.primal, split.linear, transposed]
        .map(|function| function.to_string())
        .join("\n")
}

#[test]
fn logistic_regression_backward_is_two_products() {
    let inputs = [
        ("x", types::real([5, 2])),
        ("labels", types::index([5])),
        ("w", types::real([2, 3])),
        ("b", types::real([3])),
    ];
    let loss = function(inputs, |[x, labels, parameters @ ..]| {
        [cross_entropy(&scores(&x, &parameters), &labels)]
    });
    let draw = |random: &mut tidu::laws::Random| {
        let mut real = |dims: &[usize]| tensor(random, Kind::Real, dims, -1.5, 1.5);
        vec![
            real(&[5, 2]),
            Tensor::from([0, 2, 1, 1, 0]),
            real(&[2, 3]),
            real(&[3]),
        ]
    };
    assert_snapshot!(reviewed(&loss.unwrap(), &["w", "b"], draw), @r#"
    function {
        input %0 = x
        input %1 = labels
        input %2 = w
        input %3 = b
        %4 = "einsum ij,jk->ik" %0, %2
        %5 = add %4, %3
        %6 = "logsumexp [1]" %5
        %7 = one_hot 3 %1
        %8 = mul %7, %5
        %9 = "sum [1]" %8
        %10 = sub %6, %9
        %11 = "sum [0]" %10
        %12 = const 5.0
        %13 = div %11, %12
        %14 = "softmax [1]" %5
        output %13 -> out0
        output %0 -> r0
        output %14 -> r1
        output %7 -> r2
    }
    function {
        input %0 = r0.d0.w
        input %1 = r1.d0.w
        input %2 = r2.d0.w
        input %3 = d0.w
        input %4 = d0.b
        %5 = "einsum ij,jk->ik" %0, %3
        %6 = add %5, %4
        %7 = mul %1, %6
        %8 = "sum [1]" %7
        %9 = mul %2, %6
        %10 = "sum [1]" %9
        %11 = sub %8, %10
        %12 = "sum [0]" %11
        %13 = const 5.0
        %14 = div %12, %13
        output %14 -> d.out0
    }
    function {
        input %0 = r0.d0.w
        input %1 = r1.d0.w
        input %2 = r2.d0.w
        input %3 = ct0.d0.w
        %4 = const 5.0
        %5 = div %3, %4
        %6 = "reshape [1]" %5
        %7 = "broadcast_to [5]" %6
        %8 = neg %7
        %9 = "reshape [5, 1]" %8
        %10 = "broadcast_to [5, 3]" %9
        %11 = mul %10, %2
        %12 = "reshape [5, 1]" %7
        %13 = "broadcast_to [5, 3]" %12
        %14 = mul %13, %1
        %15 = add %11, %14
        %16 = "einsum ij,ik->jk" %0, %15
        %17 = "sum [0]" %15
        output %16 -> ct.d0.w
        output %17 -> ct.d0.b
    }
    "#);
}
