"""Writes exams_part0.hdf5 and exams.csv in CODE-15 %'s published layout, with a generated signal: python make.py"""
import h5py
import numpy as np

RATE, ROW = 400, 4096
# The number of an exam, its seconds, its patient and age.
EXAMS = [(590673, 7, 17, 61), (1169160, 10, 856, 38), (2873686, 10, 856, 40)]

tracings = np.zeros((len(EXAMS) + 1, ROW, 12), np.float32)
for row, (_, seconds, _, _) in enumerate(EXAMS):
    n = seconds * RATE
    first = (ROW - n) // 2
    wave = np.sin(2 * np.pi * 5 * np.arange(n) / RATE + 0.3)
    for lead in (0, 1):
        tracings[row, first : first + n, lead] = np.round(wave * (0.5 + 0.5 * lead), 3)
    # A lead that is not quite zero anywhere, so that only the padding is.
    tracings[row, first : first + n, 11] = 0.001

with h5py.File("exams_part0.hdf5", "w") as file:
    file.create_dataset("exam_id", data=np.array([e[0] for e in EXAMS] + [0], np.int64))
    file.create_dataset("tracings", data=tracings, chunks=(1, ROW, 12), compression="gzip", compression_opts=9)

with open("exams.csv", "w", newline="\n") as table:
    table.write("exam_id,age,is_male,nn_predicted_age,1dAVb,RBBB,LBBB,SB,ST,AF,patient_id,death,timey,normal_ecg,trace_file\n")
    for exam, _, patient, age in (EXAMS[1], EXAMS[0], EXAMS[2]):
        table.write(f"{exam},{age},True,40.1,False,False,False,False,False,False,{patient},False,2.1,True,exams_part0.hdf5\n")
    table.write("99,50,False,50.0,False,False,False,False,False,False,99,,,True,exams_part1.hdf5\n")
