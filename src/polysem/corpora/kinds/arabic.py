"""Simple sentences in Arabic; verbs and adjectives agree with the gender of their subject."""

from random import Random

from polysem.corpora.wordlists import expressions

# Per gender: who, what they do (past tense), how they are.
PEOPLE = (
    (
        expressions("الولد|الرجل|المعلم|الطفل|الملك|الطبيب|الفلاح|أبي|أخي|جدي|صديقي|الطباخ|القط|الكلب|الحصان"),
        expressions("ذهب إلى|جلس في|لعب في|وصل إلى|عاد إلى|عمل في|نام في|ركض نحو"),
        expressions("رأى|رسم|حمل|وجد|أحضر|اشترى|أخذ|أحب"),
        expressions("سعيد|كبير|صغير|جميل|قوي|حزين|طيب|ذكي|سريع|هادئ"),
    ),
    (
        expressions("البنت|المرأة|المعلمة|الطفلة|الملكة|الطبيبة|أمي|أختي|جدتي|صديقتي|القطة|الجارة|الأميرة"),
        expressions("ذهبت إلى|جلست في|لعبت في|وصلت إلى|عادت إلى|عملت في|نامت في|ركضت نحو"),
        expressions("رأت|رسمت|حملت|وجدت|أحضرت|اشترت|أخذت|أحبت"),
        expressions("سعيدة|كبيرة|صغيرة|جميلة|قوية|حزينة|طيبة|ذكية|سريعة|هادئة"),
    ),
)
PLACES = expressions("البيت|المدرسة|الحديقة|السوق|المدينة|القرية|البحر|النهر|الغابة|الجبل|المكتبة|الغرفة|المطبخ|الشارع")
THINGS = expressions(
    "الخبز|التفاح|الماء|الكتاب|الحليب|الزهور|السمك|العسل|الكرة|القلم|الباب|المفتاح|الرسالة|الشجرة|التمر"
)
TIMES = expressions("اليوم|أمس|في الصباح|في المساء|في الليل|بعد الظهر|في الشتاء|في الصيف|يوم الجمعة|قبل سنة")
SKY = expressions(
    "كانت الشمس مشرقة|كان القمر جميلا|كانت السماء زرقاء|كان الجو باردا|نزل المطر|كانت الريح قوية|طلع الفجر"
)


def write(random: Random) -> str:
    """Eight to fourteen sentences."""
    return " ".join(_sentence(random) for _ in range(random.randrange(8, 15)))


def _sentence(random: Random) -> str:
    people, goes, does, manner = random.choice(PEOPLE)
    who, place, thing, time = map(random.choice, (people, PLACES, THINGS, TIMES))
    shape = random.randrange(6)
    if shape == 0:
        return f"{who} {random.choice(goes)} {place} {time}."
    if shape == 1:
        return f"{time}، {who} {random.choice(does)} {thing}."
    if shape == 2:
        first, second = random.sample(manner, 2)
        return f"{who} {first} و{second}."
    if shape == 3:
        return f"{random.choice(SKY)}، و{who} {random.choice(goes)} {place}."
    if shape == 4:
        return f"أين {thing}؟ {who} {random.choice(does)} {thing} في {place}."
    return f"{who} {random.choice(goes)} {place} و{random.choice(does)} {thing}."
