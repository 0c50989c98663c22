//! The protocol as others have it: what is there stays there.

use std::collections::BTreeSet;

use prost::Message as _;
use prost_types::{DescriptorProto, FileDescriptorSet};

/// Every field of every message and every method, a line each.
fn lines(set: &FileDescriptorSet) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for file in &set.file {
        for message in &file.message_type {
            fields(file.package(), message, &mut lines);
        }
        for service in &file.service {
            for method in &service.method {
                let stream = |is: bool| if is { "stream " } else { "" };
                lines.insert(format!(
                    "{}.{}.{}: {}{} -> {}{}",
                    file.package(),
                    service.name(),
                    method.name(),
                    stream(method.client_streaming()),
                    method.input_type(),
                    stream(method.server_streaming()),
                    method.output_type()
                ));
            }
        }
    }
    lines
}

fn fields(package: &str, message: &DescriptorProto, lines: &mut BTreeSet<String>) {
    for field in &message.field {
        let of = field.oneof_index.and_then(|index| message.oneof_decl.get(usize::try_from(index).ok()?));
        let of = of.map_or_else(String::new, |one| format!(" of {}", one.name()));
        let (name, number) = (field.name(), field.number());
        let (label, kind) = (field.label().as_str_name(), field.r#type().as_str_name());
        let type_name = field.type_name();
        lines.insert(format!("{package}.{}.{name} = {number}: {label} {kind} {type_name}{of}", message.name()));
    }
}

/// Whether the protocol has it all, and nothing that is not noted.
fn compared(noted: &str, now: &BTreeSet<String>) -> Result<(), String> {
    let noted: BTreeSet<String> = noted.lines().map(str::to_owned).collect();
    let gone: Vec<_> = noted.difference(now).map(String::as_str).collect();
    if !gone.is_empty() {
        return Err(format!(
            "operators and backends that are out there rely on this; a change of it is kentroller.plan.v2:\n{}",
            gone.join("\n")
        ));
    }
    let new: Vec<_> = now.difference(&noted).map(String::as_str).collect();
    if new.is_empty() {
        Ok(())
    } else {
        Err(format!("add to proto/kentroller/plan/v1/fields.txt:\n{}", new.join("\n")))
    }
}

#[test]
fn what_the_protocol_had_it_has() {
    let set = FileDescriptorSet::decode(kentroller_rpc::DESCRIPTOR).expect("a descriptor");
    let noted = include_str!("../../../../proto/kentroller/plan/v1/fields.txt");
    compared(noted, &lines(&set)).unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn a_field_that_is_renamed_renumbered_or_of_another_type_is_a_break() {
    let set = FileDescriptorSet::decode(kentroller_rpc::DESCRIPTOR).expect("a descriptor");
    let noted: String = lines(&set).into_iter().map(|line| format!("{line}\n")).collect();
    let broken = |change: &dyn Fn(&mut DescriptorProto)| {
        let mut changed = set.clone();
        let message = changed.file[0].message_type.iter_mut().find(|one| one.name() == "Plan").expect("Plan");
        change(message);
        compared(&noted, &lines(&changed)).err().is_some_and(|why| why.contains("v2"))
    };
    assert!(broken(&|plan| plan.field[0].name = Some("id".to_owned())));
    assert!(broken(&|plan| plan.field[0].number = Some(9)));
    assert!(broken(&|plan| plan.field[0].set_type(prost_types::field_descriptor_proto::Type::Bytes)));
    assert!(broken(&|plan| drop(plan.field.pop())));
    assert!(!broken(&|_| {}));
}
