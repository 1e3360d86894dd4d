"""Operations per second that estimates reckon with."""

CPU_GFLOPS = 30.0
"""Per core: what the default study reached on cores with AVX-512 (docs/performance.md)."""
GPU_TFLOPS = 15.0
"""What the card of document S2 reached: 2 billion tokens × 10 × 2,048 × 16,384 operations in 12 hours."""
