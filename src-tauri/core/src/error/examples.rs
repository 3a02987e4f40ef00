//! Examples of errors for tests.

/// Lists one example of each variant of an error enum. A variant without an example does not compile.
macro_rules! examples {
    ($type:ty: $($pattern:pat => $example:expr;)+) => {{
        fn check(error: &$type) {
            match error {
                $($pattern => {})+
            }
        }
        let examples: Vec<$type> = vec![$({
            let example: $type = $example;
            assert!(matches!(&example, $pattern));
            example
        }),+];
        examples.iter().for_each(check);
        examples
    }};
}

pub(crate) use examples;
