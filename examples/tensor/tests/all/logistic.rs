//! The gradient of logistic regression, to be read: what is computed forward, and what of it backward.

use crate::support::{Kind, laws, tensor};
use insta::assert_snapshot;
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
        %4 = one_hot 3 %1
        %5 = "einsum ij,jk->ik" %0, %2
        %6 = add %5, %3
        %7 = "log_softmax [1]" %6
        %8 = keep_part %4, %7
        %9 = "sum [1]" %8
        %10 = "sum [0]" %9
        %11 = const 5.0
        %12 = div %10, %11
        %13 = neg %12
        %14 = "softmax [1]" %6
        %15 = "sum_others [1]" %14
        output %13 -> out0
        output %0 -> r0
        output %15 -> r1
        output %14 -> r2
        output %4 -> r3
    }
    function {
        input %0 = r0.d0.w
        input %1 = r1.d0.w
        input %2 = r2.d0.w
        input %3 = r3.d0.w
        input %4 = d0.w
        input %5 = d0.b
        %6 = "einsum ij,jk->ik" %0, %4
        %7 = add %6, %5
        %8 = mul %1, %7
        %9 = mul %2, %7
        %10 = "sum_others [1]" %9
        %11 = sub %8, %10
        %12 = keep_part %3, %11
        %13 = "sum [1]" %12
        %14 = "sum [0]" %13
        %15 = const 5.0
        %16 = div %14, %15
        %17 = neg %16
        output %17 -> d.out0
    }
    function {
        input %0 = r0.d0.w
        input %1 = r1.d0.w
        input %2 = r2.d0.w
        input %3 = r3.d0.w
        input %4 = ct0.d0.w
        %5 = neg %4
        %6 = const 5.0
        %7 = div %5, %6
        %8 = "reshape [1]" %7
        %9 = "broadcast_to [5]" %8
        %10 = "reshape [5, 1]" %9
        %11 = "broadcast_to [5, 3]" %10
        %12 = keep_part %3, %11
        %13 = neg %12
        %14 = "sum_others [1]" %13
        %15 = mul %14, %2
        %16 = mul %12, %1
        %17 = add %15, %16
        %18 = "einsum ij,ik->jk" %0, %17
        %19 = "sum [0]" %17
        output %18 -> ct.d0.w
        output %19 -> ct.d0.b
    }
    "#);
}
