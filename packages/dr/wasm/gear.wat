;; Gear rolling hash: h = (h << 1) + table[byte]. Memory: 0 = table of 256 64-bit numbers, 4096 = data.
(module
  (memory (export "memory") 3)
  (global $h (mut i64) (i64.const 0))
  (func (export "reset") (global.set $h (i64.const 0)))
  ;; Address behind the first byte after which no masked bit of the hash is set; -1 when there is none before $end.
  (func (export "find") (param $p i32) (param $end i32) (param $mask i64) (result i32)
    (local $h i64)
    (local.set $h (global.get $h))
    (block $none
      (loop $next
        (br_if $none (i32.ge_u (local.get $p) (local.get $end)))
        (local.set $h (i64.add (i64.shl (local.get $h) (i64.const 1))
          (i64.load (i32.shl (i32.load8_u (local.get $p)) (i32.const 3)))))
        (local.set $p (i32.add (local.get $p) (i32.const 1)))
        (br_if $next (i64.ne (i64.and (local.get $h) (local.get $mask)) (i64.const 0)))
        (global.set $h (local.get $h))
        (return (local.get $p))))
    (global.set $h (local.get $h))
    (i32.const -1)))
