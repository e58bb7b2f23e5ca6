"""Flushing subnormal numbers to zero: moments of dead units decay into them, and then a step takes twice as long."""

from __future__ import annotations

import platform
from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

# Flush results to zero and take operands for zero: bits 15 and 6 of MXCSR; bit 24 of FPCR on ARM.
_X86_FLUSH: Final = 0x8040
_ARM_FLUSH: Final = 1 << 24
_MACHINE: Final = platform.machine().lower()
_IS_X86: Final = _MACHINE in ("x86_64", "amd64")
_IS_ARM: Final = _MACHINE in ("aarch64", "arm64")


@intrinsic
def flush_subnormals(typing_context: Any) -> Any:
    """Make this thread flush subnormal numbers, and return its mode of before for `restore_subnormals`."""
    del typing_context

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del context, signature, arguments
        before = _read(builder)
        flush = _X86_FLUSH if _IS_X86 else _ARM_FLUSH
        _write(builder, builder.or_(before, ir.Constant(ir.IntType(64), flush)))
        return before

    return types.int64(), generate


@intrinsic
def restore_subnormals(typing_context: Any, mode: Any) -> Any:
    """Give this thread the mode back that it had before."""
    del typing_context, mode

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del signature
        _write(builder, arguments[0])
        return context.get_dummy_value()

    return types.void(types.int64), generate


def _read(builder: Any) -> Any:
    i32, i64 = ir.IntType(32), ir.IntType(64)
    if _IS_X86:
        slot = cgutils.alloca_once(builder, i32)
        builder.call(_intrinsic(builder, ir.VoidType(), [slot.type], "llvm.x86.sse.stmxcsr"), [slot])
        return builder.zext(builder.load(slot), i64)
    if _IS_ARM:
        return builder.call(_intrinsic(builder, i64, [], "llvm.aarch64.get.fpcr"), [])
    return ir.Constant(i64, 0)


def _write(builder: Any, mode: Any) -> None:
    i32, i64 = ir.IntType(32), ir.IntType(64)
    if _IS_X86:
        slot = cgutils.alloca_once(builder, i32)
        builder.store(builder.trunc(mode, i32), slot)
        builder.call(_intrinsic(builder, ir.VoidType(), [slot.type], "llvm.x86.sse.ldmxcsr"), [slot])
    elif _IS_ARM:
        builder.call(_intrinsic(builder, ir.VoidType(), [i64], "llvm.aarch64.set.fpcr"), [mode])


def _intrinsic(builder: Any, returns: Any, takes: list[Any], name: str) -> Any:
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(returns, takes), name)
