//! The rights that are needed, from the calls that can be made.

use serde_json::json;

use crate::call::Call;

/// The least IAM policy, as JSON: every call that this crate can make, and nothing else. None of them can be narrowed to
/// a resource.
///
/// ```
/// assert!(kentroller_aws::policy().contains("ec2:DescribeInstanceTypes"));
/// ```
pub fn policy() -> String {
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "KentrollerReadsPrices",
            "Effect": "Allow",
            "Action": Call::ALL.map(Call::action),
            "Resource": "*",
        }],
    });
    format!("{policy:#}\n")
}

#[cfg(test)]
mod tests {
    use expect_test::expect_file;

    #[test]
    fn the_page_has_the_policy_of_the_calls_that_the_code_can_make() {
        expect_file!["../../docs/reference/aws-iam-policy.json"].assert_eq(&super::policy());
    }
}
