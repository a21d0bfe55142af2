/**
 * The instruction forms with a VEX prefix that the differential test generates,
 * in the language of forms.ts. The approximations are left out, and VLDMXCSR.
 *
 * @module
 */

/** AVX, AVX2, FMA, F16C, BMI1 and BMI2. */
export const VEX = `
vex.np.0f 10 /r | l
vex.66.0f 10 /r | l
vex.f3.0f 10 /r | l mem
vex.f3.0f 10 /r | l h reg
vex.f2.0f 10 /r | l mem
vex.f2.0f 10 /r | l h reg
vex.np.0f 11 /r | l
vex.66.0f 11 /r | l
vex.f3.0f 11 /r | l mem
vex.f3.0f 11 /r | l h reg
vex.f2.0f 11 /r | l mem
vex.f2.0f 11 /r | l h reg
vex.np.0f 12 /r | h mem
vex.np.0f 12 /r | h reg
vex.66.0f 12 /r | h mem
vex.f2.0f 12 /r | 
vex.f2.0f 12 /r | l1
vex.f3.0f 12 /r | l
vex.np.0f 13 /r | mem
vex.66.0f 13 /r | mem
vex.np.0f 14 /r | l h
vex.66.0f 14 /r | l h
vex.np.0f 15 /r | l h
vex.66.0f 15 /r | l h
vex.np.0f 16 /r | h mem
vex.np.0f 16 /r | h reg
vex.66.0f 16 /r | h mem
vex.f3.0f 16 /r | l
vex.np.0f 17 /r | mem
vex.66.0f 17 /r | mem
vex.np.0f 28 /r | l a16
vex.66.0f 28 /r | l a16
vex.np.0f 29 /r | l a16
vex.66.0f 29 /r | l a16
vex.f3.0f 2a /r | l h
vex.f2.0f 2a /r | l h
vex.np.0f 2b /r | l mem a16
vex.66.0f 2b /r | l mem a16
vex.f3.0f 2c /r | l
vex.f2.0f 2c /r | l
vex.f3.0f 2d /r | l
vex.f2.0f 2d /r | l
vex.np.0f 2e /r | l w:*
vex.66.0f 2e /r | l w:*
vex.np.0f 2f /r | l w:*
vex.66.0f 2f /r | l w:*
vex.np.0f 50 /r | l reg
vex.66.0f 50 /r | l reg
vex.np.0f 51 /r | l
vex.66.0f 51 /r | l
vex.f3.0f 51 /r | l h
vex.f2.0f 51 /r | l h
vex.np.0f 54 /r | l h
vex.66.0f 54 /r | l h
vex.np.0f 55 /r | l h
vex.66.0f 55 /r | l h
vex.np.0f 56 /r | l h
vex.66.0f 56 /r | l h
vex.np.0f 57 /r | l h
vex.66.0f 57 /r | l h
vex.np.0f 58 /r | l h
vex.66.0f 58 /r | l h
vex.f3.0f 58 /r | l h
vex.f2.0f 58 /r | l h
vex.np.0f 59 /r | l h
vex.66.0f 59 /r | l h
vex.f3.0f 59 /r | l h
vex.f2.0f 59 /r | l h
vex.np.0f 5a /r | 
vex.np.0f 5a /r | l1
vex.66.0f 5a /r | l
vex.f3.0f 5a /r | l h
vex.f2.0f 5a /r | l h
vex.np.0f 5b /r | l
vex.66.0f 5b /r | l
vex.f3.0f 5b /r | l
vex.np.0f 5c /r | l h
vex.66.0f 5c /r | l h
vex.f3.0f 5c /r | l h
vex.f2.0f 5c /r | l h
vex.np.0f 5d /r | l h
vex.66.0f 5d /r | l h
vex.f3.0f 5d /r | l h
vex.f2.0f 5d /r | l h
vex.np.0f 5e /r | l h
vex.66.0f 5e /r | l h
vex.f3.0f 5e /r | l h
vex.f2.0f 5e /r | l h
vex.np.0f 5f /r | l h
vex.66.0f 5f /r | l h
vex.f3.0f 5f /r | l h
vex.f2.0f 5f /r | l h
vex.66.0f 60 /r | l h
vex.66.0f 61 /r | l h
vex.66.0f 62 /r | l h
vex.66.0f 63 /r | l h
vex.66.0f 64 /r | l h
vex.66.0f 65 /r | l h
vex.66.0f 66 /r | l h
vex.66.0f 67 /r | l h
vex.66.0f 68 /r | l h
vex.66.0f 69 /r | l h
vex.66.0f 6a /r | l h
vex.66.0f 6b /r | l h
vex.66.0f 6c /r | l h
vex.66.0f 6d /r | l h
vex.66.0f 6e /r | 
vex.66.0f 6f /r | l a16
vex.f3.0f 6f /r | l
vex.66.0f 70 /r ib | l
vex.f3.0f 70 /r ib | l
vex.f2.0f 70 /r ib | l
vex.66.0f 71 /2 ib | l h reg
vex.66.0f 71 /4 ib | l h reg
vex.66.0f 71 /6 ib | l h reg
vex.66.0f 72 /2 ib | l h reg
vex.66.0f 72 /4 ib | l h reg
vex.66.0f 72 /6 ib | l h reg
vex.66.0f 73 /2 ib | l h reg
vex.66.0f 73 /3 ib | l h reg
vex.66.0f 73 /6 ib | l h reg
vex.66.0f 73 /7 ib | l h reg
vex.66.0f 74 /r | l h
vex.66.0f 75 /r | l h
vex.66.0f 76 /r | l h
vex.np.0f 77 | 
vex.np.0f 77 | l1
vex.66.0f 7c /r | l h
vex.f2.0f 7c /r | l h
vex.66.0f 7d /r | l h
vex.f2.0f 7d /r | l h
vex.66.0f 7e /r | 
vex.f3.0f 7e /r | 
vex.66.0f 7f /r | l a16
vex.f3.0f 7f /r | l
vex.np.0f ae /3 | mem
vex.np.0f c2 /r ib | l h
vex.66.0f c2 /r ib | l h
vex.f3.0f c2 /r ib | l h
vex.f2.0f c2 /r ib | l h
vex.66.0f c4 /r ib | h
vex.66.0f c5 /r ib | reg
vex.np.0f c6 /r ib | l h
vex.66.0f c6 /r ib | l h
vex.66.0f d0 /r | l h
vex.f2.0f d0 /r | l h
vex.66.0f d1 /r | l h
vex.66.0f d2 /r | l h
vex.66.0f d3 /r | l h
vex.66.0f d4 /r | l h
vex.66.0f d5 /r | l h
vex.66.0f d6 /r | 
vex.66.0f d7 /r | l reg
vex.66.0f d8 /r | l h
vex.66.0f d9 /r | l h
vex.66.0f da /r | l h
vex.66.0f db /r | l h
vex.66.0f dc /r | l h
vex.66.0f dd /r | l h
vex.66.0f de /r | l h
vex.66.0f df /r | l h
vex.66.0f e0 /r | l h
vex.66.0f e1 /r | l h
vex.66.0f e2 /r | l h
vex.66.0f e3 /r | l h
vex.66.0f e4 /r | l h
vex.66.0f e5 /r | l h
vex.66.0f e6 /r | l
vex.f3.0f e6 /r | 
vex.f3.0f e6 /r | l1
vex.f2.0f e6 /r | l
vex.66.0f e7 /r | l mem a16
vex.66.0f e8 /r | l h
vex.66.0f e9 /r | l h
vex.66.0f ea /r | l h
vex.66.0f eb /r | l h
vex.66.0f ec /r | l h
vex.66.0f ed /r | l h
vex.66.0f ee /r | l h
vex.66.0f ef /r | l h
vex.f2.0f f0 /r | l mem
vex.66.0f f1 /r | l h
vex.66.0f f2 /r | l h
vex.66.0f f3 /r | l h
vex.66.0f f4 /r | l h
vex.66.0f f5 /r | l h
vex.66.0f f6 /r | l h
vex.66.0f f8 /r | l h
vex.66.0f f9 /r | l h
vex.66.0f fa /r | l h
vex.66.0f fb /r | l h
vex.66.0f fc /r | l h
vex.66.0f fd /r | l h
vex.66.0f fe /r | l h
vex.66.0f38 00 /r | l h
vex.66.0f38 01 /r | l h
vex.66.0f38 02 /r | l h
vex.66.0f38 03 /r | l h
vex.66.0f38 04 /r | l h
vex.66.0f38 05 /r | l h
vex.66.0f38 06 /r | l h
vex.66.0f38 07 /r | l h
vex.66.0f38 08 /r | l h
vex.66.0f38 09 /r | l h
vex.66.0f38 0a /r | l h
vex.66.0f38 0b /r | l h
vex.66.0f38.w0 0c /r | l h
vex.66.0f38.w0 0d /r | l h
vex.66.0f38.w0 0e /r | l w:*
vex.66.0f38.w0 0f /r | l w:*
vex.66.0f38.w0 13 /r | 
vex.66.0f38.w0 13 /r | l1
vex.66.0f38.w0 16 /r | l1 h
vex.66.0f38 17 /r | l w:*
vex.66.0f38.w0 18 /r | l mem
vex.66.0f38.w0 18 /r | l reg
vex.66.0f38.w0 19 /r | l1 mem
vex.66.0f38.w0 19 /r | l1 reg
vex.66.0f38.w0 1a /r | l1 mem
vex.66.0f38 1c /r | l
vex.66.0f38 1d /r | l
vex.66.0f38 1e /r | l
vex.66.0f38 20 /r | 
vex.66.0f38 20 /r | l1
vex.66.0f38 21 /r | 
vex.66.0f38 21 /r | l1
vex.66.0f38 22 /r | 
vex.66.0f38 22 /r | l1
vex.66.0f38 23 /r | 
vex.66.0f38 23 /r | l1
vex.66.0f38 24 /r | 
vex.66.0f38 24 /r | l1
vex.66.0f38 25 /r | 
vex.66.0f38 25 /r | l1
vex.66.0f38 28 /r | l h
vex.66.0f38 29 /r | l h
vex.66.0f38 2a /r | l mem a16
vex.66.0f38 2b /r | l h
vex.66.0f38.w0 2c /r | l h mem
vex.66.0f38.w0 2d /r | l h mem
vex.66.0f38.w0 2e /r | l h mem
vex.66.0f38.w0 2f /r | l h mem
vex.66.0f38 30 /r | 
vex.66.0f38 30 /r | l1
vex.66.0f38 31 /r | 
vex.66.0f38 31 /r | l1
vex.66.0f38 32 /r | 
vex.66.0f38 32 /r | l1
vex.66.0f38 33 /r | 
vex.66.0f38 33 /r | l1
vex.66.0f38 34 /r | 
vex.66.0f38 34 /r | l1
vex.66.0f38 35 /r | 
vex.66.0f38 35 /r | l1
vex.66.0f38.w0 36 /r | l1 h
vex.66.0f38 37 /r | l h
vex.66.0f38 38 /r | l h
vex.66.0f38 39 /r | l h
vex.66.0f38 3a /r | l h
vex.66.0f38 3b /r | l h
vex.66.0f38 3c /r | l h
vex.66.0f38 3d /r | l h
vex.66.0f38 3e /r | l h
vex.66.0f38 3f /r | l h
vex.66.0f38 40 /r | l h
vex.66.0f38 41 /r | 
vex.66.0f38.w0 45 /r | l h
vex.66.0f38.w1 45 /r | l h
vex.66.0f38.w0 46 /r | l h
vex.66.0f38.w0 47 /r | l h
vex.66.0f38.w1 47 /r | l h
vex.66.0f38.w0 58 /r | l
vex.66.0f38.w0 59 /r | l
vex.66.0f38.w0 5a /r | l1 mem
vex.66.0f38.w0 78 /r | l
vex.66.0f38.w0 79 /r | l
vex.66.0f38.w0 8c /r | l h mem
vex.66.0f38.w1 8c /r | l h mem
vex.66.0f38.w0 8e /r | l h mem
vex.66.0f38.w1 8e /r | l h mem
vex.66.0f38.w0 90 /r | l h mem vsib
vex.66.0f38.w1 90 /r | l h mem vsib
vex.66.0f38.w0 91 /r | l h mem vsib
vex.66.0f38.w1 91 /r | l h mem vsib
vex.66.0f38.w0 92 /r | l h mem vsib
vex.66.0f38.w1 92 /r | l h mem vsib
vex.66.0f38.w0 93 /r | l h mem vsib
vex.66.0f38.w1 93 /r | l h mem vsib
vex.66.0f38.w0 96 /r | l h
vex.66.0f38.w1 96 /r | l h
vex.66.0f38.w0 97 /r | l h
vex.66.0f38.w1 97 /r | l h
vex.66.0f38.w0 98 /r | l h
vex.66.0f38.w1 98 /r | l h
vex.66.0f38.w0 99 /r | l h
vex.66.0f38.w1 99 /r | l h
vex.66.0f38.w0 9a /r | l h
vex.66.0f38.w1 9a /r | l h
vex.66.0f38.w0 9b /r | l h
vex.66.0f38.w1 9b /r | l h
vex.66.0f38.w0 9c /r | l h
vex.66.0f38.w1 9c /r | l h
vex.66.0f38.w0 9d /r | l h
vex.66.0f38.w1 9d /r | l h
vex.66.0f38.w0 9e /r | l h
vex.66.0f38.w1 9e /r | l h
vex.66.0f38.w0 9f /r | l h
vex.66.0f38.w1 9f /r | l h
vex.66.0f38.w0 a6 /r | l h
vex.66.0f38.w1 a6 /r | l h
vex.66.0f38.w0 a7 /r | l h
vex.66.0f38.w1 a7 /r | l h
vex.66.0f38.w0 a8 /r | l h
vex.66.0f38.w1 a8 /r | l h
vex.66.0f38.w0 a9 /r | l h
vex.66.0f38.w1 a9 /r | l h
vex.66.0f38.w0 aa /r | l h
vex.66.0f38.w1 aa /r | l h
vex.66.0f38.w0 ab /r | l h
vex.66.0f38.w1 ab /r | l h
vex.66.0f38.w0 ac /r | l h
vex.66.0f38.w1 ac /r | l h
vex.66.0f38.w0 ad /r | l h
vex.66.0f38.w1 ad /r | l h
vex.66.0f38.w0 ae /r | l h
vex.66.0f38.w1 ae /r | l h
vex.66.0f38.w0 af /r | l h
vex.66.0f38.w1 af /r | l h
vex.66.0f38.w0 b6 /r | l h
vex.66.0f38.w1 b6 /r | l h
vex.66.0f38.w0 b7 /r | l h
vex.66.0f38.w1 b7 /r | l h
vex.66.0f38.w0 b8 /r | l h
vex.66.0f38.w1 b8 /r | l h
vex.66.0f38.w0 b9 /r | l h
vex.66.0f38.w1 b9 /r | l h
vex.66.0f38.w0 ba /r | l h
vex.66.0f38.w1 ba /r | l h
vex.66.0f38.w0 bb /r | l h
vex.66.0f38.w1 bb /r | l h
vex.66.0f38.w0 bc /r | l h
vex.66.0f38.w1 bc /r | l h
vex.66.0f38.w0 bd /r | l h
vex.66.0f38.w1 bd /r | l h
vex.66.0f38.w0 be /r | l h
vex.66.0f38.w1 be /r | l h
vex.66.0f38.w0 bf /r | l h
vex.66.0f38.w1 bf /r | l h
vex.66.0f38 db /r | 
vex.66.0f38 dc /r | h
vex.66.0f38 dd /r | h
vex.66.0f38 de /r | h
vex.66.0f38 df /r | h
vex.np.0f38 f2 /r | h w:OSZC u:AP
vex.np.0f38 f3 /1 | h w:OSZC u:AP
vex.np.0f38 f3 /2 | h w:OSZC u:AP
vex.np.0f38 f3 /3 | h w:OSZC u:AP
vex.np.0f38 f5 /r | h w:OSZC u:AP
vex.f3.0f38 f5 /r | h
vex.f2.0f38 f5 /r | h
vex.f2.0f38 f6 /r | h
vex.np.0f38 f7 /r | h w:OZC u:SAP
vex.66.0f38 f7 /r | h
vex.f3.0f38 f7 /r | h
vex.f2.0f38 f7 /r | h
vex.66.0f3a.w1 00 /r ib | l1
vex.66.0f3a.w1 01 /r ib | l1
vex.66.0f3a.w0 02 /r ib | l h
vex.66.0f3a.w0 04 /r ib | l
vex.66.0f3a.w0 05 /r ib | l
vex.66.0f3a.w0 06 /r ib | l1 h
vex.66.0f3a 08 /r ib | l
vex.66.0f3a 09 /r ib | l
vex.66.0f3a 0a /r ib | l h
vex.66.0f3a 0b /r ib | l h
vex.66.0f3a 0c /r ib | l h
vex.66.0f3a 0d /r ib | l h
vex.66.0f3a 0e /r ib | l h
vex.66.0f3a 0f /r ib | l h
vex.66.0f3a 14 /r ib | mem
vex.66.0f3a 14 /r ib | reg
vex.66.0f3a 15 /r ib | mem
vex.66.0f3a 15 /r ib | reg
vex.66.0f3a.w0 16 /r ib | 
vex.66.0f3a 17 /r ib | 
vex.66.0f3a.w0 18 /r ib | l1 h
vex.66.0f3a.w0 19 /r ib | l1
vex.66.0f3a.w0 1d /r ib | 
vex.66.0f3a.w0 1d /r ib | l1
vex.66.0f3a 20 /r ib | h mem
vex.66.0f3a 20 /r ib | h reg
vex.66.0f3a 21 /r ib | h
vex.66.0f3a.w0 22 /r ib | h
vex.66.0f3a.w0 38 /r ib | l1 h
vex.66.0f3a.w0 39 /r ib | l1
vex.66.0f3a 40 /r ib | l h
vex.66.0f3a 41 /r ib | h
vex.66.0f3a 42 /r ib | l h
vex.66.0f3a 44 /r ib | h
vex.66.0f3a.w0 46 /r ib | l1 h
vex.66.0f3a.w0 4a /r is4 | l h
vex.66.0f3a.w0 4b /r is4 | l h
vex.66.0f3a.w0 4c /r is4 | l h
vex.66.0f3a 60 /r ib | w:*
vex.66.0f3a 61 /r ib | w:*
vex.66.0f3a 62 /r ib | w:*
vex.66.0f3a 63 /r ib | w:*
vex.66.0f3a df /r ib | 
vex.f2.0f3a f0 /r ib | 
`;
