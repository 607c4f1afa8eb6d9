//! What newcomers are told, word for word.

use tidu::scalar::{CompileScalar, function};

#[test]
fn programs_name_what_they_take() {
    let f = function(["mass", "speed"], |[m, v]| 0.5 * m * v.powi(2)).unwrap();
    let program = f.compile_scalar().unwrap();
    assert_eq!(
        program.call(&[1.0]).unwrap_err().to_string(),
        "the program takes 2 inputs, found 1; its inputs are mass, speed"
    );
    let mut outputs = [0.0; 2];
    let mut workspace = tidu::scalar::Workspace::default();
    let error = program.eval_into(&mut workspace, &[1.0, 2.0], &mut outputs);
    assert_eq!(
        error.unwrap_err().to_string(),
        "the program has 1 output, found room for 2; its outputs are out0"
    );
    let constant = function([], |[]| Some(1.0.into())).unwrap();
    assert_eq!(
        constant
            .compile_scalar()
            .unwrap()
            .call(&[1.0])
            .unwrap_err()
            .to_string(),
        "the program takes 0 inputs, found 1; its inputs are none"
    );
    assert_eq!(
        constant.compile().call(&[1.0]).unwrap_err().to_string(),
        "the function takes 0 inputs, found 1; its inputs are none"
    );
    let one = f
        .bind("mass", tidu::scalar::ScalarOp::constant(2.0))
        .unwrap();
    assert_eq!(
        one.compile().call(&[]).unwrap_err().to_string(),
        "the function takes 1 input, found 0; its inputs are speed"
    );
}
